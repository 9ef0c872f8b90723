//! Files that their owner alone may read.

use std::fs::{File, OpenOptions};
use std::io::Result;
use std::path::Path;

/// Creates a file that only its owner may read and write; fails if it exists.
pub(crate) fn create_private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Lets nobody use a private file who may not use `model`.
pub(crate) fn narrow_to(file: &File, model: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(model)?.permissions().mode() & 0o600;
        file.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    let _ = (file, model);
    Ok(())
}

/// Takes an existing file's permissions away from everybody but its owner.
pub(crate) fn make_private(path: &Path) -> Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let _ = path;
    Ok(())
}
