from .predict.connect import connect_endpoint as connect_endpoint
from .predict.predict_options import PredictOptions as PredictOptions
from .predict.run import predict as predict
