//! The fields of a type, as it tells them.

use super::{Field, Leaf, MAX_FIELDS, Shape};

/// Receives the fields of a type.
#[derive(Debug, Default)]
pub struct Fields {
    /// The name and the offset of what is being visited.
    path: String,
    offset: u64,
    pub(super) found: Vec<Field>,
}

impl Fields {
    /// The field `name` of a struct, `offset` bytes from its start.
    pub fn field<T: Shape>(&mut self, name: &str, offset: usize) {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.inner::<T>(&format!("{separator}{name}"), offset);
    }

    /// A primitive, or an array of them.
    pub(super) fn leaf(&mut self, leaf: Leaf) {
        // An array of none has no bytes. One too many is kept, as the sign that there were more.
        if leaf.count == 0 || self.is_full() {
            return;
        }
        let name = if self.path.is_empty() {
            "value"
        } else {
            &self.path
        };
        self.found.push(Field {
            name: name.to_owned(),
            offset: self.offset,
            leaf,
        });
    }

    fn inner<T: Shape>(&mut self, more: &str, offset: usize) {
        let (path, start) = (self.path.len(), self.offset);
        self.path.push_str(more);
        self.offset = start.saturating_add(offset as u64);
        T::visit(self);
        self.path.truncate(path);
        self.offset = start;
    }

    /// So many elements of an array.
    pub(super) fn elements<T: Shape>(&mut self, count: usize) {
        let array = if self.path.is_empty() { "value" } else { "" };
        for index in 0..count {
            if self.is_full() {
                return;
            }
            self.inner::<T>(&format!("{array}[{index}]"), index * size_of::<T>());
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() > MAX_FIELDS
    }
}
