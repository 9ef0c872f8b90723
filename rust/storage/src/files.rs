//! Files that their owner alone may read.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StorageError;

/// Creates a file that only its owner may read and write; fails if it exists.
pub fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Lets nobody use a private file who may not use `model`.
pub(crate) fn narrow_to(file: &File, model: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(model)?.permissions().mode() & 0o600;
        file.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    let _ = (file, model);
    Ok(())
}

/// Creates a folder that only its owner may open; fails if it exists.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns the path with `suffix` behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes an existing file's permissions away from everybody but its owner.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let _ = path;
    Ok(())
}

/// Makes a path absolute. SQLite takes an absolute path for a path: not for a URI, `:memory:` or a temporary file.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, StorageError> {
    let given = path.to_str().filter(|text| !text.is_empty() && !text.contains('\0'));
    let given = given.ok_or_else(|| StorageError::invalid("path", "UTF-8 without NUL", path.display()))?;
    std::path::absolute(given).map_err(|error| StorageError::invalid("path", error.to_string(), given))
}
