//! The files of one revision, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bounds on what is read from a source. What is beyond them is a fault of the revision, found before it takes memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest file, in bytes. 10,000 backends in one multi-document file need about 2 MB.
    pub file_bytes: usize,
    /// Most files. Room for 30,000 one-backend files, three times over.
    pub files: usize,
    /// Largest sum of all files, in bytes.
    pub total_bytes: usize,
    /// Deepest folder below the inventory's root.
    pub folder_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 4 << 20, files: 100_000, total_bytes: 64 << 20, folder_depth: 8 }
    }
}

/// The `.yaml` and `.yml` files below an inventory's root, as they were at one revision.
///
/// Paths are relative to the inventory's root, with `/`: `backends/api-dijon-1.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSet {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl FileSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// True for names that an inventory reads; everything else in a repository is left alone.
    pub fn is_inventory_file(path: &str) -> bool {
        let file_name = path.rsplit('/').next().unwrap_or(path);
        let extension = file_name.rsplit_once('.').map(|(_, extension)| extension);
        matches!(extension, Some("yaml" | "yml")) && !file_name.starts_with('.')
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&Arc<[u8]>> {
        self.files.get(path)
    }

    /// All files in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// True when there is no file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl<P: Into<String>, B: Into<Arc<[u8]>>> FromIterator<(P, B)> for FileSet {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        Self { files: files.into_iter().map(|(path, bytes)| (path.into(), bytes.into())).collect() }
    }
}
