from . import package as package, saved_model as saved_model
from .class_names import (
    read_class_names as read_class_names,
    write_class_names as write_class_names,
)
from .contents import (
    files_below as files_below,
    printable as printable,
    read_contents as read_contents,
)
from .convert import check_loads as check_loads
from .layout import (
    ARCHIVE_NAME as ARCHIVE_NAME,
    SERVO_FOLDER as SERVO_FOLDER,
    VERSIONED_LAYOUTS as VERSIONED_LAYOUTS,
    copy_files as copy_files,
    place_model as place_model,
    versions_in as versions_in,
)
from .locate import (
    CODE_FOLDER as CODE_FOLDER,
    GRAPH_FILE as GRAPH_FILE,
    choose_model as choose_model,
    find_saved_models as find_saved_models,
    version_of as version_of,
)
from .package_options import PackageOptions as PackageOptions
from .prepare import PreparedModel as PreparedModel, prepare_model as prepare_model
from .row_independence import (
    Arrays as Arrays,
    RowBehavior as RowBehavior,
    compare_rows as compare_rows,
    read_mark as read_mark,
    write_mark as write_mark,
)
from .save import save_model as save_model
from .saved_model import DEFAULT_SIGNATURE as DEFAULT_SIGNATURE
from .signature_inputs import (
    Inputs as Inputs,
    call_by_signature as call_by_signature,
    inputs_by_name as inputs_by_name,
)
from .tarball import write_tarball as write_tarball
