//! What to look for, compiled once into a tree of names.

use super::text::unescape;

/// Which parts of a stream's pages are wanted. Compiled once, used for every page.
///
/// A path is the names of the keys from the outside in; arrays have none, so a path never enters one.
///
/// ```
/// use connector_sdk::record::{Scan, ScanSpec};
/// let spec = ScanSpec::new(&["records"])
///     .with_page_field(&["done"])
///     .with_record_field(&["Id"])
///     .with_record_field(&["attributes", "type"]);
/// let page = br#"{"done":true,"records":[{"attributes":{"type":"Contact"},"Id":"003A"}]}"#;
/// let mut scan = Scan::default();
/// spec.scan(page, &mut scan).unwrap();
/// assert_eq!(scan.page_fields[0].of(page).unwrap(), b"true");
/// assert_eq!(scan.fields(0)[0].of(page).unwrap(), br#""003A""#);
/// assert_eq!(scan.fields(0)[1].of(page).unwrap(), br#""Contact""#);
/// ```
#[derive(Debug, Clone)]
pub struct ScanSpec {
    nodes: Vec<Node>,
    page_fields: usize,
    record_fields: usize,
    null_is_empty: bool,
}

/// One name on the way to something wanted. Its name is with its parent.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    children: Vec<(Box<str>, usize)>,
    /// A bit for each length a child's name has, modulo 64: most keys are ruled out by theirs.
    lengths: u64,
    /// The fields that end here, as their places in the spec.
    pub(super) fields: Vec<usize>,
    /// The fields that end further down.
    pub(super) fields_below: Vec<usize>,
    /// The records are here.
    pub(super) records: bool,
    /// The records are further down.
    pub(super) records_below: bool,
}

impl Node {
    /// Whether there is nothing here but fields that end here.
    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty() && !self.records
    }

    /// The child that a key, quotes included, names; `plain` when surely nothing is escaped in it.
    #[inline(always)]
    pub(super) fn child(&self, raw: &[u8], plain: bool) -> Option<usize> {
        if !plain {
            return self.named(unescape(raw)?.as_bytes());
        }
        let name = raw.get(1..raw.len() - 1)?;
        if self.lengths >> (name.len() % 64) & 1 == 1 { self.named(name) } else { None }
    }

    fn named(&self, name: &[u8]) -> Option<usize> {
        self.children.iter().find(|(child, _)| child.as_bytes() == name).map(|&(_, node)| node)
    }
}

/// The tree's node for the page itself.
pub(super) const PAGE: usize = 0;
/// The tree's node for any one record.
pub(super) const RECORD: usize = 1;

impl ScanSpec {
    /// Looks for the array of records at that path of the page; empty: the page itself is the array.
    #[must_use]
    pub fn new<S: AsRef<str>>(records: &[S]) -> Self {
        let mut spec = Self {
            nodes: vec![Node::default(), Node::default()],
            page_fields: 0,
            record_fields: 0,
            null_is_empty: false,
        };
        let node = spec.grow(PAGE, records, |node| node.records_below = true);
        spec.nodes[node].records = true;
        spec
    }

    /// Looks for the value at that path of the page too. [`Scan::page_fields`](super::Scan::page_fields) has the
    /// order of these calls.
    #[must_use]
    pub fn with_page_field<S: AsRef<str>>(mut self, path: &[S]) -> Self {
        let field = self.page_fields;
        let node = self.grow(PAGE, path, |node| node.fields_below.push(field));
        self.nodes[node].fields.push(field);
        self.page_fields += 1;
        self
    }

    /// Looks for the value at that path of each record too. [`Scan::fields`](super::Scan::fields) has the order
    /// of these calls.
    #[must_use]
    pub fn with_record_field<S: AsRef<str>>(mut self, path: &[S]) -> Self {
        let field = self.record_fields;
        let node = self.grow(RECORD, path, |node| node.fields_below.push(field));
        self.nodes[node].fields.push(field);
        self.record_fields += 1;
        self
    }

    /// Takes `null` where the records should be for no records: some vendors write an empty page so.
    #[must_use]
    pub fn with_null_as_empty(mut self) -> Self {
        self.null_is_empty = true;
        self
    }

    /// The node at `path` from `root`, made where there is none; `passed` is told of each node before it.
    fn grow<S: AsRef<str>>(&mut self, root: usize, path: &[S], passed: impl Fn(&mut Node)) -> usize {
        path.iter().fold(root, |parent, name| {
            let (name, next) = (name.as_ref(), self.nodes.len());
            let node = &mut self.nodes[parent];
            passed(node);
            if let Some(child) = node.named(name.as_bytes()) {
                return child;
            }
            node.lengths |= 1 << (name.len() % 64);
            node.children.push((name.into(), next));
            self.nodes.push(Node::default());
            next
        })
    }

    pub(super) fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    pub(super) fn page_fields(&self) -> usize {
        self.page_fields
    }

    pub(super) fn record_fields(&self) -> usize {
        self.record_fields
    }

    pub(super) fn null_is_empty(&self) -> bool {
        self.null_is_empty
    }
}
