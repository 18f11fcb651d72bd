from .planned_process import (
    PlannedProcess as PlannedProcess,
    RendezvousAddress as RendezvousAddress,
)
from .registry import (
    STRATEGIES as STRATEGIES,
    default_strategy as default_strategy,
    make_strategy as make_strategy,
    spec_named as spec_named,
    spec_of as spec_of,
    strategies_where as strategies_where,
    strategy_packages as strategy_packages,
    strategy_to_meet as strategy_to_meet,
)
from .spec import StrategySpec as StrategySpec
from .strategy import SINGLE_PROCESS as SINGLE_PROCESS, Strategy as Strategy
