//! Vectors of one width, as rows of one array.

use super::cosine::float::dot;

/// Vectors of one width, one after another.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    elements: &'a [f32],
    width: usize,
}

impl<'a> Rows<'a> {
    /// `elements` holds whole rows: its length is a multiple of `width`, which is not 0.
    pub fn new(elements: &'a [f32], width: usize) -> Self {
        assert!(width > 0 && elements.len().is_multiple_of(width), "elements must be whole rows");
        Self { elements, width }
    }

    pub fn len(&self) -> usize {
        self.elements.len() / self.width
    }

    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn elements(&self) -> &'a [f32] {
        self.elements
    }

    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.elements[index * self.width..][..self.width]
    }

    /// Refuses rows that cannot be compared: the first is named.
    pub fn check(&self) -> Result<(), NotFinite> {
        match self.iter().position(|row| !dot(row, row).is_finite()) {
            Some(row) => Err(NotFinite { row }),
            None => Ok(()),
        }
    }

    pub fn iter(&self) -> std::slice::ChunksExact<'a, f32> {
        self.elements.chunks_exact(self.width)
    }
}

/// A row is no vector that can be compared: a number in it is not finite, or too large to be squared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row} is not of finite length")]
pub struct NotFinite {
    pub row: usize,
}
