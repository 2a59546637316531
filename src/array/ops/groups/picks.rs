//! The first or the last element of each group.

use super::super::elementwise::elemwise_of;
use super::super::take::take_positions;
use super::Grouping;
use crate::array::chunks::NO_GROUP;
use crate::array::dtype::DType;
use crate::array::expr::Handle;
use crate::array::kernels::{
    BinaryOp, Builder, Program, ReduceKind, Reg, Scalar, UnaryOp, Unsupported,
};
use crate::error::{Call, Error, Result};

/// The error for elements that can't be compared.
fn real(call: Call) -> impl Fn(Unsupported) -> Error {
    move |error| super::super::unsupported(call, error.got, "a real number")
}

impl Grouping {
    /// The first or the last element of each group, which must have one.
    pub(crate) fn pick(&self, call: Call, is_first: bool) -> Handle {
        let mut places = vec![None; self.n_groups as usize];
        let codes = match self.known_codes(call) {
            Ok(codes) => codes,
            Err(error) => return Handle::from_result(Err(error)),
        };
        for (position, &code) in codes.iter().enumerate().filter(|(_, code)| **code != NO_GROUP) {
            let place = &mut places[code as usize];
            if place.is_none() || !is_first {
                *place = Some(position as u64);
            }
        }
        let places: Option<Vec<u64>> = places.into_iter().collect();
        let picked = |places: Vec<u64>| {
            let merged = self.merged(call)?;
            let last = merged.ndim() - 1;
            let picked = take_positions(call, &merged, last, places)?;
            self.placed(&picked, last, &[])
        };
        Handle::from_result(match places {
            Some(places) => picked(places),
            None => Err(Error::InvalidArgument {
                call,
                argument: "labels",
                got: "a group without positions".into(),
                expected: "groups that have a first and a last element",
            }),
        })
    }

    /// The first or the last element of each group that is not NaN, or NaN.
    ///
    /// First the position of it, which a float tells exactly and of a group without any is NaN, and then the one element
    /// that stands there.
    pub(crate) fn pick_valid(&self, call: Call, is_first: bool) -> Handle {
        let dtype = self.node.meta.dtype;
        if !dtype.is_float() && !dtype.is_complex() {
            return self.pick(call, is_first);
        }
        let picked = || {
            let missing = if is_first { f64::INFINITY } else { f64::NEG_INFINITY };
            let kind = if is_first { ReduceKind::Min } else { ReduceKind::Max };
            let places = elemwise_of(call, self.valid_places(call, missing)?, &[&self.node])?;
            let places = self.reduced(call, &Handle::from_result(Ok(places)), kind, false, 0.0);
            let of_group = self.spread(call, places.node()?)?;
            let elements = elemwise_of(call, self.at_place(call)?, &[&self.node, &of_group])?;
            let elements = Handle::from_result(Ok(elements));
            let elements = self.reduced(call, &elements, ReduceKind::Max, false, 0.0);
            let mut b = Builder::new(2);
            let (x, place) = (b.input(0, dtype), b.input(1, DType::F64));
            let is_there = b.unary(UnaryOp::IsFinite, place).map_err(real(call))?;
            let nan = b.constant(Scalar::F64(f64::NAN).cast(dtype));
            let value = b.select(is_there, x, nan);
            elemwise_of(call, b.finish(value), &[elements.node()?, places.node()?])
        };
        Handle::from_result(picked())
    }

    /// The place of each element among the positions, and `missing` for NaN.
    fn valid_places(&self, call: Call, missing: f64) -> Result<Program> {
        let mut b = Builder::new(1);
        let x = b.input(0, self.node.meta.dtype);
        let place = self.place_of_element(call, &mut b)?;
        let is_nan = b.unary(UnaryOp::IsNan, x).map_err(real(call))?;
        let missing = b.constant(missing.into());
        let place = b.select(is_nan, missing, place);
        Ok(b.finish(place))
    }

    /// The element at the place in slot 1, and what is less than all others elsewhere.
    fn at_place(&self, call: Call) -> Result<Program> {
        let dtype = self.node.meta.dtype;
        let mut b = Builder::new(2);
        let (x, wanted) = (b.input(0, dtype), b.input(1, DType::F64));
        let place = self.place_of_element(call, &mut b)?;
        let is_there = b.binary(BinaryOp::Eq, place, wanted).map_err(real(call))?;
        let least = b.constant(Scalar::F64(f64::NEG_INFINITY).cast(dtype));
        let value = b.select(is_there, x, least);
        Ok(b.finish(value))
    }

    /// The number of a position along the grouped axes, in the order of the labels.
    fn place_of_element(&self, call: Call, b: &mut Builder) -> Result<Reg> {
        let mut stride = 1;
        let mut place = b.constant(0_i64.into());
        for &axis in self.axes.iter().rev() {
            let along = b.index(axis, 0, stride);
            place = b.binary(BinaryOp::Add, place, along).map_err(real(call))?;
            stride = stride.saturating_mul(self.node.axis_len(call, axis)? as i64);
        }
        Ok(b.cast(place, DType::F64))
    }
}
