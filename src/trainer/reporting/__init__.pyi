from .charts import Chart as Chart, chart_frame as chart_frame
from .comparison import (
    as_csv as as_csv,
    differences_of as differences_of,
    render_comparison as render_comparison,
)
from .html import render_page as render_page
from .page import render_report as render_report
from .parallel import ParallelAxis as ParallelAxis, parallel_chart as parallel_chart
from .pictures import read_pictures as read_pictures
from .record import (
    SCHEMA_VERSION as SCHEMA_VERSION,
    RunRecord as RunRecord,
    decode_record as decode_record,
    encode_record as encode_record,
    read_record as read_record,
)
from .summary import render_summary as render_summary
