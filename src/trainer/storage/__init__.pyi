from . import (
    globs as globs,
    local as local,
    plain_names as plain_names,
    remote as remote,
    unfinished as unfinished,
)
from .archive import (
    ArchiveLimits as ArchiveLimits,
    check_members as check_members,
    extract as extract,
    open_archive as open_archive,
    unpack as unpack,
)
from .errors import (
    StorageError as StorageError,
    permanent_problem as permanent_problem,
    response_of as response_of,
)
from .globs import links_to_ancestor as links_to_ancestor
from .local import move_file as move_file
from .locking.folder import exclusive as exclusive
from .plain_names import plain as plain
from .remote_path import RemotePath as RemotePath
from .store_options import NO_OPTIONS as NO_OPTIONS, StorageOptions as StorageOptions
from .transfer import fetch as fetch, push as push
from .urls import is_remote as is_remote, local_path as local_path
