from . import (
    globs as globs,
    local as local,
    plain_names as plain_names,
    remote as remote,
    unfinished as unfinished,
)
from .archive import (
    Limits as Limits,
    checked as checked,
    extract as extract,
    opened as opened,
    unpack as unpack,
)
from .errors import StorageError as StorageError, answer_of as answer_of, mistake_of as mistake_of
from .globs import leads_back as leads_back
from .local import move_file as move_file
from .locking.folder import exclusive as exclusive
from .plain_names import plain as plain
from .remote import NO_OPTIONS as NO_OPTIONS, Options as Options, Place as Place
from .transfer import SENDING as SENDING, fetch as fetch, push as push
from .urls import is_remote as is_remote, local_path as local_path
