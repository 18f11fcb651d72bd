from .deploy_options import DeployOptions as DeployOptions, suits as suits
from .deploying import deploy as deploy
from .image_query import ImageQuery as ImageQuery, image_uri as image_uri
from .image_tables import find_tables as find_tables, frameworks_in as frameworks_in
from .prediction.connect import connect_endpoint as connect_endpoint, kind_of as kind_of
from .prediction.predict_options import PredictOptions as PredictOptions
from .prediction.run import predict as predict
from .registry import TARGETS as TARGETS
from .undeploy_options import UndeployOptions as UndeployOptions
from .undeploying import undeploy as undeploy
from .waiting import EndedError as EndedError
