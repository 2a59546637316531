//! Images in files of their own as one array: `(n, height, width)`, or `(n, height, width, channels)`.

mod decoder;

use std::path::Path;

use ndarray::{ArrayView, ArrayViewMutD, Axis, IxDyn};

use super::errors::check_box;
use super::source::Source;
use crate::array::any::{AnyElement, AnyViewMut};
use crate::array::dtype::{DType, Element};
use crate::error::{Blame, Call, Result};
use crate::storage::{FoundFile, find, version_of_files};
use decoder::{Decoder, Samples};

/// Images of one size and kind. The first says which.
#[derive(Debug)]
pub(crate) struct ImageStack {
    call: Call,
    name: String,
    files: Vec<FoundFile>,
    dtype: DType,
    shape: Vec<u64>,
    /// What the axes are called.
    names: Vec<String>,
}

impl ImageStack {
    /// Finds the files and reads the header of the first.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::CorruptFile`](crate::Error::CorruptFile),
    /// [`Error::UnsupportedFile`](crate::Error::UnsupportedFile) for floats.
    pub(crate) fn open(call: Call, path: &Path) -> Result<Self> {
        let (_, files) = find(call, path)?;
        let blame = Blame { call, path: &files[0].path, format: "image" };
        let Decoder { dtype, mut shape, .. } = Decoder::new(&blame, &files[0])?;
        shape.insert(0, files.len() as u64);
        let names = ["image", "y", "x", "channel"].map(str::to_string);
        let names = names[..shape.len()].to_vec();
        Ok(ImageStack { call, name: path.display().to_string(), files, dtype, shape, names })
    }

    fn image_bytes(&self) -> u64 {
        self.shape[1..].iter().fold(self.dtype.nbytes() as u64, |n, &len| n.saturating_mul(len))
    }

    fn decode(&self, file: &FoundFile) -> Result<Samples> {
        let blame = Blame { call: self.call, path: &file.path, format: "image" };
        let decode = || {
            let decoder = Decoder::new(&blame, file)?;
            let (dtype, shape) = (decoder.dtype, &decoder.shape[..]);
            if dtype != self.dtype || *shape != self.shape[1..] {
                let expected = format!("{} {:?} as the first one", self.dtype, &self.shape[1..]);
                let feature = format!("an image of {dtype} {shape:?} after {expected}");
                let remedy = "all images of a stack need one size and kind";
                return Err(blame.unsupported(feature, remedy));
            }
            decoder.read(&blame)
        };
        // Decoders are other people's code, and a panic of theirs says nothing of the file.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
        outcome.unwrap_or_else(|_| Err(blame.corrupt("the decoder panicked")))
    }

    fn read_typed<T: Element>(
        &self,
        start: &[u64],
        mut out: ArrayViewMutD<'_, T>,
        samples_of: fn(Samples) -> Option<Vec<T>>,
    ) -> Result<()> {
        let image: Vec<usize> = self.shape[1..].iter().map(|&len| len as usize).collect();
        let first = start[0] as usize;
        for (file, mut out) in self.files[first..].iter().zip(out.axis_iter_mut(Axis(0))) {
            let samples = samples_of(self.decode(file)?);
            let samples = samples.expect("all images were found to have the dtype of the first");
            let all = ArrayView::from_shape(IxDyn(&image), &samples);
            let all = all.expect("an image has as many samples as its shape");
            let lens = out.shape().to_vec();
            let part = all.slice_each_axis(|axis| {
                let axis = axis.axis.index();
                let begin = start[axis + 1] as usize;
                (begin..begin + lens[axis]).into()
            });
            out.assign(&part);
        }
        Ok(())
    }
}

impl Source for ImageStack {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn storage_chunks(&self) -> Option<Vec<u64>> {
        let mut chunks = self.shape.clone();
        chunks[0] = 1;
        Some(chunks)
    }

    fn dim_names(&self) -> Option<Vec<String>> {
        Some(self.names.clone())
    }

    /// Of files on this machine.
    fn version(&self) -> Option<String> {
        let is_remote = self.files.iter().any(FoundFile::is_remote);
        let files = || version_of_files(self.files.iter().map(|file| &file.path));
        Some(format!("images {}", (!is_remote).then(files)??))
    }

    /// An image as bytes and as samples, and about as much again for the decoder.
    fn scratch_bytes(&self) -> u64 {
        self.image_bytes().saturating_mul(3).saturating_add(1 << 20)
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        check_box(self.call, self.dtype, &self.shape, start, &out)?;
        let checked = "the dtype was just checked";
        match self.dtype {
            DType::U8 => {
                self.read_typed(start, u8::from_any_view(out).expect(checked), Samples::u8)
            }
            _ => self.read_typed(start, u16::from_any_view(out).expect(checked), Samples::u16),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    use ndarray::{ArrayD, s};
    use png::{BitDepth, ColorType};
    use tiff::encoder::{TiffEncoder, colortype};

    use super::super::testing::{call, cut, read_as, survives_damage};
    use super::*;

    fn png(path: &Path, size: (u32, u32), color: ColorType, depth: BitDepth, samples: &[u8]) {
        let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), size.0, size.1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(samples).unwrap();
    }

    fn gray(dir: &Path, name: &str, i: u16) -> PathBuf {
        let path = dir.join(name);
        let samples: Vec<u16> =
            (0..4).flat_map(|y| (0..5).map(move |x| i * 1000 + y * 10 + x)).collect();
        if name.ends_with(".png") {
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
            png(&path, (5, 4), ColorType::Grayscale, BitDepth::Sixteen, &bytes);
        } else {
            let mut encoder = TiffEncoder::new(fs::File::create(&path).unwrap()).unwrap();
            encoder.write_image::<colortype::Gray16>(5, 4, &samples).unwrap();
        }
        path
    }

    fn expected(n: usize) -> ArrayD<u16> {
        let at = |i: IxDyn| (i[0] * 1000 + i[1] * 10 + i[2]) as u16;
        ArrayD::from_shape_fn(IxDyn(&[n, 4, 5]), at)
    }

    #[test]
    fn images_are_in_natural_order_and_boxes_are_cut() {
        for extension in ["png", "tiff"] {
            let dir = tempfile::tempdir().unwrap();
            for i in 0..11 {
                gray(dir.path(), &format!("f{i}.{extension}"), i);
            }
            let pattern = dir.path().join(format!("*.{extension}"));
            let stack = ImageStack::open(call(), &pattern).unwrap();
            assert_eq!((stack.dtype(), stack.shape()), (DType::U16, &[11, 4, 5][..]));
            for (start, lens) in [([0, 0, 0], [11, 4, 5]), ([9, 1, 2], [2, 2, 3])] {
                let got = read_as::<u16>(&stack, &start, &lens);
                assert_eq!(got, cut(&expected(11), &start, &lens), "{extension}");
            }
        }
    }

    #[test]
    fn colors_are_the_last_axis() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.png");
        let pixels: Vec<u8> = (0..2).flat_map(|y| (0..3).flat_map(move |x| [x, y, 7])).collect();
        png(&path, (3, 2), ColorType::Rgb, BitDepth::Eight, &pixels);
        let stack = ImageStack::open(call(), &path).unwrap();
        assert_eq!((stack.dtype(), stack.shape()), (DType::U8, &[1, 2, 3, 3][..]));
        let got = read_as::<u8>(&stack, &[0, 0, 0, 0], &[1, 2, 3, 3]);
        assert_eq!(got.slice(s![0, 1, 2, ..]).to_vec(), [2, 1, 7]);
        assert_eq!(stack.dim_names().unwrap(), ["image", "y", "x", "channel"]);
    }

    #[test]
    fn another_image_and_damage_name_their_files() {
        let dir = tempfile::tempdir().unwrap();
        gray(dir.path(), "0.png", 0);
        let odd = dir.path().join("1.png");
        png(&odd, (5, 4), ColorType::Grayscale, BitDepth::Eight, &[1; 20]);
        let stack = ImageStack::open(call(), &dir.path().join("*.png")).unwrap();
        let mut out = ArrayD::<u16>::zeros(IxDyn(&[2, 4, 5]));
        let error = stack.read(&[0, 0, 0], u16::to_any_view(out.view_mut())).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("1.png") && text.contains("uint8 [4, 5]"), "{text}");
        fs::remove_file(odd).unwrap();
        for path in [gray(dir.path(), "0.png", 0), gray(dir.path(), "0.tiff", 0)] {
            survives_damage(&path, |path| Ok(Arc::new(ImageStack::open(call(), &path)?)));
        }
    }
}
