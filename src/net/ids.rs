//! Indices that know what they index, and the lists that take no others.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// An index of one kind.
pub trait Id: Copy {
    /// The one at `position`.
    fn at(position: usize) -> Self;
    /// Where it is.
    fn position(self) -> usize;
}

/// Makes index types out of rows `/// text` `Name;`.
macro_rules! ids {
    ($($(#[doc = $text:literal])+ $name:ident;)+) => {$(
        $(#[doc = $text])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub usize);

        impl Id for $name {
            fn at(position: usize) -> Self {
                $name(position)
            }
            fn position(self) -> usize {
                self.0
            }
        }
    )+};
}

ids! {
    /// A node of a program.
    NodeId;
    /// A convolution of a program.
    ConvId;
    /// A mixing weight: of the tables of all cell types (or of all cells) one after the other, `[table][edge][op]`; behind them those
    /// that edges have besides their candidates'.
    MixId;
    /// A parameter of a network, a weight or a buffer, in state-dict order.
    ParamId;
}

/// A list with one kind of index.
#[derive(Debug, PartialEq, Eq)]
pub struct Table<I, T> {
    items: Vec<T>,
    of: PhantomData<fn(I) -> I>,
}

impl<I: Id, T> Table<I, T> {
    /// `n` times the same.
    pub fn filled(n: usize, item: T) -> Self
    where
        T: Clone,
    {
        Table { items: vec![item; n], of: PhantomData }
    }

    /// Adds an item; its index.
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::at(self.items.len() - 1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The indices in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + use<I, T> {
        (0..self.items.len()).map(I::at)
    }

    /// The index of the last; of an empty list, an index that it does not have.
    pub fn last(&self) -> I {
        I::at(self.items.len().wrapping_sub(1))
    }

    /// The items in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// The same as a slice.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The items, to be changed.
    pub fn items_mut(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// The items without their indices.
    pub fn into_items(self) -> Vec<T> {
        self.items
    }

    /// A list beside this one, with something for each index.
    pub fn beside<U>(&self, f: impl FnMut(I) -> U) -> Table<I, U> {
        self.ids().map(f).collect()
    }
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Self {
        Table { items: Vec::new(), of: PhantomData }
    }
}

impl<I, T: Clone> Clone for Table<I, T> {
    fn clone(&self) -> Self {
        Table { items: self.items.clone(), of: PhantomData }
    }
}

impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        &self.items[id.position()]
    }
}

impl<I: Id, T> IndexMut<I> for Table<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.position()]
    }
}

impl<I, T> FromIterator<T> for Table<I, T> {
    fn from_iter<F: IntoIterator<Item = T>>(items: F) -> Self {
        Table { items: items.into_iter().collect(), of: PhantomData }
    }
}

impl<'a, I: Id, T> IntoIterator for &'a Table<I, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<I, T> IntoIterator for Table<I, T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}
