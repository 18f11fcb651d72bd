from .registry import make_strategy as make_strategy
from .strategy import ALONE as ALONE, Strategy as Strategy
