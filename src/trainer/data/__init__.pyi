from . import files as files, selection as selection
from .common_form import common_spec as common_spec
from .create import (
    create_dataset as create_dataset,
)
from .creating import create_anywhere as create_anywhere
from .division import Division as Division
from .example_dataset import ExampleDataset as ExampleDataset
from .files import open_tables as open_tables
from .fingerprint import fingerprint_of as fingerprint_of
from .folders import (
    data_among as data_among,
    scan_path as scan_path,
    wanted_among as wanted_among,
)
from .formats.example import encode_examples as encode_examples
from .formats.npy import NpyHeaderError as NpyHeaderError, read_npy_header as read_npy_header
from .formats.protobuf import (
    LENGTH_DELIMITED as LENGTH_DELIMITED,
    WireError as WireError,
    message_fields as message_fields,
    read_fields as read_fields,
    read_varint as read_varint,
)
from .formats.read_options import ReadOptions as ReadOptions
from .formats.record_table import TFRecordTable as TFRecordTable
from .formats.registry import FORMATS as FORMATS, format_titles as format_titles
from .formats.set_description import is_description as is_description
from .formats.table import (
    BLOCK_RECORDS as BLOCK_RECORDS,
    CLASSES as CLASSES,
    IMAGE_SHAPE as IMAGE_SHAPE,
    ImageSpec as ImageSpec,
    Table as Table,
)
from .graph.dataset import TableSet as TableSet, graph_dataset as graph_dataset
from .host_share import HostShare as HostShare, SharedStream as SharedStream
from .inspection import SplitFacts as SplitFacts, inspect_anywhere as inspect_anywhere
from .loading import load_data as load_data
from .mnist import download as download
from .pipeline import Feed as Feed, make_dataset as make_dataset, scaler as scaler
from .reading import read_options as read_options
from .shard import Shard as Shard
from .shard_file import write_shard as write_shard
from .sheet import contact_sheet as contact_sheet
from .stream import Stream as Stream
from .subset import HoldOut as HoldOut
from .tabular import CountedDataset as CountedDataset, load_columns as load_columns
