//! NetCDF-4 files: how dimensions and variables lie in an HDF5 file.
//!
//! After the [format specification](https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html): a dimension
//! is a dataset that is a dimension scale, and the attribute `DIMENSION_LIST` of a variable refers to the scales of its axes.
//! An unlimited dimension is as long as the longest of its variables; the others have fill values to there.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use hdf5_reader::group::Group;
use hdf5_reader::{Attribute as RawAttribute, Dataset, Datatype, H5Type};

use super::super::hdf5::{Hdf5File, guarded};
use super::super::source::Source;
use super::packing::{is_unsigned, unsigned};
use super::{Attribute, Attributes, Dimension, Format};
use crate::error::{Call, Result};

/// Attributes by which the format describes itself.
const OF_THE_FORMAT: [&str; 7] = [
    "DIMENSION_LIST",
    "DIMENSION_LABELS",
    "REFERENCE_LIST",
    "_NCProperties",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_nc3_strict",
];
/// How the name of a scale begins that is a dimension only.
const NO_VARIABLE: &str = "This is a netCDF dimension but not a netCDF variable";
/// What stands before the name of a variable that is called like a dimension that it does not describe.
const NON_COORDINATE: &str = "_nc4_non_coord_";

/// An open file, and what it says of itself.
#[derive(Debug)]
pub(super) struct Netcdf4 {
    file: Hdf5File,
    dims: Vec<Dimension>,
    attributes: Vec<(String, Attribute)>,
    variables: Vec<Variable>,
}

struct Variable {
    name: String,
    dataset: Dataset,
    /// Which of the file's dimensions the axes are, if all are.
    dims: Option<Vec<usize>>,
    attributes: Vec<(String, Attribute)>,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Variable").field(&self.name).field(&self.dims).finish()
    }
}

impl Netcdf4 {
    pub(super) fn open(call: Call, path: &Path) -> Result<Self> {
        let file = Hdf5File::open(call, path, "NetCDF")?;
        let root = file.root(call)?;
        let blame = file.blame(call);
        let attributes = guarded(&blame, "attributes", || root.attributes())?;
        let found = guarded(&blame, "groups", || datasets(&root))?;
        let (mut dims, attributes, variables) = guarded(&blame, "variables", || {
            let scales = Scales::of(&found);
            let variables = found.into_iter().filter(|found| !found.is_only_dimension());
            let variables = variables.map(|found| Variable {
                dims: scales.of_axes(&found),
                attributes: values(&found.attributes, found.is_scale()),
                name: found.name.replace(NON_COORDINATE, ""),
                dataset: found.dataset,
            });
            let variables: Vec<Variable> = variables.collect();
            Ok((scales.dims, values(&attributes, false), variables))
        })?;
        for variable in &variables {
            for (&dim, &len) in variable.dims.iter().flatten().zip(variable.dataset.shape()) {
                let dim = &mut dims[dim];
                dim.len = if dim.unlimited { dim.len.max(len) } else { dim.len };
            }
        }
        Ok(Netcdf4 { file, dims, attributes, variables })
    }

    /// The dataset of a variable, as long as its dimensions are.
    fn dataset(&self, call: Call, variable: &Variable) -> Result<Dataset> {
        let dataset = variable.dataset.clone();
        let Some(dims) = &variable.dims else { return Ok(dataset) };
        let lens = dataset.shape().iter().zip(dims);
        let shape: Vec<u64> = lens
            .map(|(&len, &dim)| if self.dims[dim].unlimited { self.dims[dim].len } else { len })
            .collect();
        guarded(&self.file.blame(call), &variable.name, || dataset.with_padded_shape(&shape))
    }
}

impl Format for Netcdf4 {
    fn variables(&self) -> Vec<&str> {
        self.variables.iter().map(|variable| variable.name.as_str()).collect()
    }

    fn dimensions(&self) -> &[Dimension] {
        &self.dims
    }

    fn global_attributes(&self) -> &Attributes {
        &self.attributes
    }

    fn attributes(&self, variable: usize) -> &Attributes {
        &self.variables[variable].attributes
    }

    fn dim_names(&self, variable: usize) -> Option<Vec<String>> {
        let dims = self.variables[variable].dims.as_ref()?;
        // Dimensions of groups are found by their path, and called by their last name.
        let name = |&dim: &usize| self.dims[dim].name.rsplit('/').next().map(str::to_string);
        dims.iter().map(name).collect()
    }

    fn source(&self, call: Call, variable: usize) -> Result<Arc<dyn Source>> {
        let dim_names = self.dim_names(variable);
        let variable = &self.variables[variable];
        let dataset = self.dataset(call, variable)?;
        let source = self.file.source(call, &variable.name, dataset)?;
        let dtype = source.dtype();
        let dtype = if is_unsigned(&variable.attributes) { unsigned(dtype) } else { dtype };
        Ok(Arc::new(source.of_variable(dtype, dim_names)))
    }
}

/// A dataset with its path and its attributes.
struct Found {
    name: String,
    dataset: Dataset,
    attributes: Vec<RawAttribute>,
}

impl Found {
    fn attribute(&self, name: &str) -> Option<&RawAttribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    fn text(&self, name: &str) -> Option<String> {
        match value(self.attribute(name)?)? {
            Attribute::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_scale(&self) -> bool {
        self.text("CLASS").as_deref() == Some("DIMENSION_SCALE")
    }

    fn is_only_dimension(&self) -> bool {
        self.is_scale() && self.text("NAME").is_some_and(|name| name.starts_with(NO_VARIABLE))
    }
}

/// All datasets of a group and of those in it. Links may form circles: each group is entered once.
fn datasets(root: &Group) -> hdf5_reader::error::Result<Vec<Found>> {
    let (mut entered, mut found) = (HashSet::from([root.address()]), Vec::new());
    let mut groups = vec![(String::new(), root.clone())];
    while let Some((path, group)) = groups.pop() {
        let (subgroups, datasets) = group.members()?;
        found.extend(datasets.into_iter().map(|dataset| Found {
            name: format!("{path}{}", dataset.name()),
            attributes: dataset.attributes(),
            dataset,
        }));
        let new = subgroups.into_iter().filter(|group| entered.insert(group.address()));
        let new = new.map(|group| (format!("{path}{}/", group.name()), group));
        let new: Vec<(String, Group)> = new.collect();
        groups.extend(new.into_iter().rev());
    }
    Ok(found)
}

/// The dimensions of a file, and how variables refer to them.
struct Scales {
    dims: Vec<Dimension>,
    /// By the address of the scale.
    by_address: HashMap<u64, usize>,
    /// By the number that the format gives to dimensions.
    by_id: HashMap<i32, usize>,
}

impl Scales {
    fn of(found: &[Found]) -> Self {
        let mut scales =
            Scales { dims: Vec::new(), by_address: HashMap::new(), by_id: HashMap::new() };
        for scale in found.iter().filter(|found| found.is_scale()) {
            let [len, ..] = *scale.dataset.shape() else { continue };
            let unlimited = scale.dataset.max_dims().is_some_and(|max| max[0] == u64::MAX);
            let place = scales.dims.len();
            scales.dims.push(Dimension { name: scale.name.clone(), len, unlimited });
            scales.by_address.insert(scale.dataset.address(), place);
            let id = scale.attribute("_Netcdf4Dimid").and_then(|id| id.read_scalar::<i32>().ok());
            if let Some(id) = id {
                scales.by_id.insert(id, place);
            }
        }
        scales
    }

    /// The dimensions of a variable's axes, if each has one.
    fn of_axes(&self, variable: &Found) -> Option<Vec<usize>> {
        let n = variable.dataset.ndim();
        let dims: Option<Vec<usize>> = if n == 0 {
            Some(Vec::new())
        } else if let Some(list) = variable.attribute("DIMENSION_LIST") {
            let references = list.raw_data.chunks_exact(variable.dataset.vlen_reference_size());
            references.map(|reference| self.scale(&variable.dataset, reference)).collect()
        } else if let Some(ids) = variable.attribute("_Netcdf4Coordinates") {
            let ids = ids.read_1d::<i32>().ok()?;
            ids.iter().map(|id| self.by_id.get(id).copied()).collect()
        } else {
            // A coordinate describes its own axis.
            self.by_address.get(&variable.dataset.address()).map(|&dim| vec![dim])
        };
        dims.filter(|dims| dims.len() == n)
    }

    /// The first scale in a list of references to some.
    fn scale(&self, dataset: &Dataset, list: &[u8]) -> Option<usize> {
        let references = dataset.resolve_vlen_reference_bytes(list, size_of::<u64>()).ok()?;
        let address = references.get(..size_of::<u64>())?;
        let address = u64::from_le_bytes(address.try_into().expect("eight bytes"));
        self.by_address.get(&address).copied()
    }
}

/// Attributes that users have set, as far as they are numbers or text.
fn values(attributes: &[RawAttribute], is_scale: bool) -> Vec<(String, Attribute)> {
    let of_format = |name: &str| {
        OF_THE_FORMAT.contains(&name) || (is_scale && ["CLASS", "NAME"].contains(&name))
    };
    let own = attributes.iter().filter(|attribute| !of_format(&attribute.name));
    own.filter_map(|attribute| Some((attribute.name.clone(), value(attribute)?))).collect()
}

fn value(attribute: &RawAttribute) -> Option<Attribute> {
    fn items<T: H5Type>(attribute: &RawAttribute) -> Option<Vec<T>> {
        attribute.read_1d().ok()
    }
    Some(match attribute.datatype {
        Datatype::FixedPoint { size: 1, signed: true, .. } => Attribute::I8(items(attribute)?),
        Datatype::FixedPoint { size: 2, signed: true, .. } => Attribute::I16(items(attribute)?),
        Datatype::FixedPoint { size: 4, signed: true, .. } => Attribute::I32(items(attribute)?),
        Datatype::FixedPoint { size: 8, signed: true, .. } => Attribute::I64(items(attribute)?),
        Datatype::FixedPoint { size: 1, .. } => Attribute::U8(items(attribute)?),
        Datatype::FixedPoint { size: 2, .. } => Attribute::U16(items(attribute)?),
        Datatype::FixedPoint { size: 4, .. } => Attribute::U32(items(attribute)?),
        Datatype::FixedPoint { size: 8, .. } => Attribute::U64(items(attribute)?),
        Datatype::FloatingPoint { size: 4, .. } => Attribute::F32(items(attribute)?),
        Datatype::FloatingPoint { size: 8, .. } => Attribute::F64(items(attribute)?),
        Datatype::String { .. } | Datatype::VarLen { .. } => {
            let texts = attribute.read_strings();
            let one = || attribute.read_string().map(|text| vec![text]);
            let mut texts = texts.or_else(|_| one()).ok()?;
            if texts.len() == 1 { Attribute::Text(texts.pop()?) } else { Attribute::Texts(texts) }
        }
        _ => return None,
    })
}
