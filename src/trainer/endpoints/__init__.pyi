from .prediction.connect import connect_endpoint as connect_endpoint
from .prediction.predict_options import PredictOptions as PredictOptions
from .prediction.run import predict as predict
