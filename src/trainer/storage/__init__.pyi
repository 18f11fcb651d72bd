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
    open_archive as open_archive,
    open_member as open_member,
    unpack_archive as unpack_archive,
)
from .errors import (
    StorageError as StorageError,
    permanent_problem as permanent_problem,
    store_response as store_response,
)
from .globs import links_to_ancestor as links_to_ancestor
from .local import move_file as move_file
from .locking.folder import held as held, locked_folders as locked_folders
from .plain_names import without_wildcards as without_wildcards
from .remote_path import RemotePath as RemotePath
from .store_options import NO_OPTIONS as NO_OPTIONS, StorageOptions as StorageOptions
from .sync.filters import NameGlobs as NameGlobs
from .sync.plan import SyncPlan as SyncPlan
from .sync.request import SyncOutcome as SyncOutcome, SyncRequest as SyncRequest
from .sync.run import Synchronisation as Synchronisation
from .transfer import (
    download_folder as download_folder,
    download_objects as download_objects,
    upload_files as upload_files,
    upload_folder as upload_folder,
)
from .urls import is_remote as is_remote, local_path as local_path
