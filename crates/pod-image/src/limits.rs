//! How much an image may ask of the node before the import is refused.

/// Bounds of one import. The defaults let through every image that is meant to be run, and stop bombs early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files of an archive (tar or stdin), and of its decompressed stream.
    pub archive_bytes: u64,
    /// Files of an archive.
    pub archive_entries: u64,
    /// Bytes of one layer's decompressed stream, and of the files it unpacks to.
    pub layer_bytes: u64,
    /// Entries of one layer.
    pub layer_entries: u64,
    /// Lookups in folders that unpacking one layer may take, before its entries are counted. Deep paths over many layers take many.
    pub layer_lookups: u64,
    /// As many more for each entry, so that the time is linear in the entries.
    pub entry_lookups: u64,
    /// Decompressed over compressed bytes, looked at past [`Limits::ratio_from`].
    pub ratio: u64,
    /// Decompressed bytes before the ratio counts.
    pub ratio_from: u64,
    /// Components of one path, symlinks of the image followed.
    pub path_depth: usize,
    /// Bytes of one path or link target.
    pub path_bytes: usize,
    /// Bytes of one entry's extended headers (long names, extended attributes).
    pub header_bytes: u64,
    /// Bytes of an index, a manifest or an image config.
    pub document_bytes: u64,
    /// Layers of one image: what overlayfs is given as lower folders.
    pub layers: usize,
}

/// Bytes of one component of a path (`NAME_MAX`).
pub(crate) const NAME_BYTES: usize = 255;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_bytes: 128 * GIB,
            archive_entries: 200_000,
            layer_bytes: 64 * GIB,
            layer_entries: 4_000_000,
            layer_lookups: 10_000_000,
            entry_lookups: 1000,
            ratio: 500,
            ratio_from: GIB,
            path_depth: 256,
            path_bytes: 4095,
            header_bytes: MIB,
            document_bytes: 4 * MIB,
            layers: 127,
        }
    }
}
