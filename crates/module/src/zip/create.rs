//! Making module zips, for modules that are made up. The same input gives the same bytes.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::check::Rules;
use super::{InvalidFile, ZipError};
use crate::module_version::ModuleVersion;

/// The MS-DOS date of 1980-01-01, the first there is.
const DATE: u16 = 0x21;

/// Makes the zip of a module from its files, names relative to the module's root, in their order.
///
/// # Errors
/// Where the go command would not take the zip: names, collisions, sizes ([`super::check()`]); and for more than 65,534
/// files.
pub fn create_module_zip<N: AsRef<str>, C: AsRef<[u8]>>(
    module: &ModuleVersion,
    files: impl IntoIterator<Item = (N, C)>,
) -> Result<Vec<u8>, ZipError> {
    let mut rules = Rules::new(module);
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut count: u16 = 0;
    for (index, (name, content)) in files.into_iter().enumerate() {
        let (name, content) = (format!("{}{}", module.zip_prefix(), name.as_ref()), content.as_ref());
        rules.add(index, &name, content.len() as u64);
        if rules.checked.valid.last() != Some(&index) || rules.checked.too_large {
            rules.checked.result()?;
            let reason = "a directory is not a file".to_owned();
            return Err(ZipError::Invalid(vec![InvalidFile { name, reason }]));
        }
        count = count.checked_add(1).filter(|n| *n < u16::MAX).ok_or_else(|| too_large("too many files"))?;
        let offset = size32(out.len())?;
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(content)?;
        let deflated = deflated.finish()?;
        let common = header(&name, content, size32(deflated.len())?)?;
        out.extend(0x0403_4b50_u32.to_le_bytes());
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(deflated);
        directory.extend(0x0201_4b50_u32.to_le_bytes());
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&common);
        // Comment length, part, internal attributes, external attributes.
        directory.extend([0; 2 + 2 + 2 + 4]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (offset, size) = (size32(out.len())?, size32(directory.len())?);
    out.extend(directory);
    out.extend(0x0605_4b50_u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend([0; 2]);
    Ok(out)
}

/// What the file's header and its directory entry share, from the version that is needed on.
fn header(name: &str, content: &[u8], deflated: u32) -> Result<Vec<u8>, ZipError> {
    let mut crc = Crc::new();
    crc.update(content);
    let name_size = u16::try_from(name.len()).map_err(|_| too_large("file name too long"))?;
    let mut out = Vec::with_capacity(26);
    // Version 2.0, UTF-8 names, deflated, no time.
    for half in [20_u16, 0x800, 8, 0, DATE] {
        out.extend(half.to_le_bytes());
    }
    for word in [crc.sum(), deflated, size32(content.len())?] {
        out.extend(word.to_le_bytes());
    }
    out.extend(name_size.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    Ok(out)
}

fn size32(size: usize) -> Result<u32, ZipError> {
    u32::try_from(size).map_err(|_| ZipError::TooLarge { size: size as u64 })
}

fn too_large(reason: &str) -> ZipError {
    ZipError::Malformed(reason.to_owned())
}
