//! The one container over memory that the caller lends: a slice of slots, borrowed or (with `alloc`) boxed.

use core::ops::{Deref, DerefMut};

/// A value that fills a slot nobody uses yet. All zeros where possible, so that a static table costs no flash.
pub trait Empty {
    /// The value of an unused slot.
    const EMPTY: Self;
}

impl Empty for u8 {
    const EMPTY: Self = 0;
}

/// A fixed number of slots of `T`, lent by the caller or owned on the heap.
#[derive(Debug)]
pub enum Slots<'m, T> {
    /// Lent by the caller, who keeps it for the node's whole life.
    Borrowed(&'m mut [T]),
    /// Owned.
    #[cfg(feature = "alloc")]
    Boxed(alloc::boxed::Box<[T]>),
}

impl<T> Slots<'_, T> {
    /// No slots at all: what needs one is switched off.
    #[must_use]
    pub const fn none() -> Self {
        Self::Borrowed(&mut [])
    }
}

#[cfg(feature = "alloc")]
impl<T: Empty> Slots<'static, T> {
    /// `count` empty slots on the heap, written there one by one: no copy of the table is ever on the stack.
    #[must_use]
    pub fn boxed(count: usize) -> Self {
        Self::Boxed(core::iter::repeat_with(|| T::EMPTY).take(count).collect())
    }
}

impl<T> Deref for Slots<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Borrowed(slots) => slots,
            #[cfg(feature = "alloc")]
            Self::Boxed(slots) => slots,
        }
    }
}

impl<T> DerefMut for Slots<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Borrowed(slots) => slots,
            #[cfg(feature = "alloc")]
            Self::Boxed(slots) => slots,
        }
    }
}

/// Slots of which the first `len` are in use: a vector that never grows past what it was lent.
#[derive(Debug)]
pub struct List<'m, T> {
    slots: Slots<'m, T>,
    len: usize,
}

impl<'m, T: Copy> List<'m, T> {
    /// An empty list over `slots`.
    #[must_use]
    pub const fn new(slots: Slots<'m, T>) -> Self {
        Self { slots, len: 0 }
    }

    /// How many entries fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Appends `value`, or gives it back if the list is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        self.insert(self.len, value)
    }

    /// Puts `value` at `at` and moves what follows up by one; gives it back if the list is full or `at` is past the end.
    pub fn insert(&mut self, at: usize, value: T) -> Result<(), T> {
        // An empty tail: `at` is one past the end, and the range ends before it begins.
        let Some(tail @ [.., _]) = self.slots.get_mut(at..=self.len) else { return Err(value) };
        // Each takes what was before it. (Not `copy_within`: see `move_down` in the arena.)
        tail.iter_mut().fold(value, |before, slot| core::mem::replace(slot, before));
        self.len += 1;
        Ok(())
    }

    /// Takes out the entry at `at` and moves what follows down by one.
    pub fn remove(&mut self, at: usize) {
        if let Some(tail) = self.slots.get_mut(at..self.len)
            && let Some(&last) = tail.last()
        {
            tail.iter_mut().rev().fold(last, |behind, slot| core::mem::replace(slot, behind));
            self.len -= 1;
        }
    }

    /// Takes out every entry.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl<T> Deref for List<'_, T> {
    type Target = [T];

    #[cfg_attr(feature = "opt-size", inline(never))]
    fn deref(&self) -> &[T] {
        self.slots.get(..self.len).unwrap_or_default()
    }
}

impl<T> DerefMut for List<'_, T> {
    #[cfg_attr(feature = "opt-size", inline(never))]
    fn deref_mut(&mut self) -> &mut [T] {
        self.slots.get_mut(..self.len).unwrap_or_default()
    }
}

/// Moves the last of `slots` before all others.
pub(crate) fn last_to_front<T>(slots: &mut [T]) {
    match slots {
        [] => {}
        // What `rotate_right` does for one slot, in less code than it takes for any number, and in somewhat more time.
        [others @ .., last] if cfg!(feature = "opt-size") => {
            others.iter_mut().for_each(|slot| core::mem::swap(slot, last));
        }
        slots => slots.rotate_right(1),
    }
}

/// Moves the first of `slots` behind all others.
pub(crate) fn first_to_back<T>(slots: &mut [T]) {
    match slots {
        [] => {}
        // Likewise.
        [first, others @ ..] if cfg!(feature = "opt-size") => {
            others.iter_mut().rev().for_each(|slot| core::mem::swap(slot, first));
        }
        slots => slots.rotate_left(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec::Vec;

    quickcheck! {
        fn one_at_an_end_is_moved_to_the_other(values: Vec<u8>) -> bool {
            let (mut right, mut left) = (values.clone(), values.clone());
            last_to_front(&mut right);
            first_to_back(&mut left);
            let (mut rotated_right, mut rotated_left) = (values.clone(), values);
            if !rotated_left.is_empty() {
                rotated_right.rotate_right(1);
                rotated_left.rotate_left(1);
            }
            (right, left) == (rotated_right, rotated_left)
        }

        fn a_list_is_a_vector_with_a_limit(steps: Vec<(u8, u8)>) -> bool {
            let mut memory = [0; 5];
            let mut list = List::new(Slots::Borrowed(&mut memory));
            let mut model = Vec::new();
            for (kind, value) in steps {
                let at = usize::from(value % 7);
                match kind % 4 {
                    0 => {
                        let fits = model.len() < 5;
                        if fits { model.push(value) }
                        assert_eq!(list.push(value).is_ok(), fits);
                    }
                    1 => {
                        let fits = model.len() < 5 && at <= model.len();
                        if fits { model.insert(at, value) }
                        assert_eq!(list.insert(at, value).is_ok(), fits);
                    }
                    2 => {
                        if at < model.len() { model.remove(at); }
                        list.remove(at);
                    }
                    _ => assert_eq!(list.first(), model.first()),
                }
                assert_eq!(&list[..], &model[..]);
            }
            true
        }
    }
}
