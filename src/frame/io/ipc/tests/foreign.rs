//! Files and streams that others wrote.

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

fn write_file(path: &Path, batches: &[RecordBatch], options: ArrowOptions) {
    let file = fs::File::create(path).unwrap();
    let mut writer = FileWriter::try_new_with_options(file, &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

fn write_stream(path: &Path, batches: &[RecordBatch], options: ArrowOptions) {
    let file = fs::File::create(path).unwrap();
    let mut writer =
        StreamWriter::try_new_with_options(file, &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

/// Types that polars has another form of, and the frame that they are.
fn foreign_types() -> (RecordBatch, DataFrame) {
    let text = [Some("a"), None, Some("longer than twelve bytes")];
    let lists = || vec![Some(vec![Some(1), None]), None, Some(vec![Some(2), Some(3)])];
    let bytes = [Some([1_u8, 2]), None, Some([3, 4])];
    let array = batch(vec![
        ("utf8", Arc::new(aa::StringArray::from_iter(text)) as ArrayRef),
        ("large", Arc::new(aa::LargeStringArray::from_iter(text))),
        ("view", Arc::new(aa::StringViewArray::from_iter(text))),
        ("key", Arc::new(aa::DictionaryArray::<Int8Type>::from_iter(text))),
        ("bin", Arc::new(aa::BinaryArray::from_iter(text.map(|text| text.map(str::as_bytes))))),
        (
            "fixed",
            Arc::new(
                aa::FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes.iter().copied(), 2)
                    .unwrap(),
            ),
        ),
        (
            "half",
            arrow::compute::cast(
                &aa::Float32Array::from(vec![Some(0.5), None, Some(2.0)]),
                &ArrowType::Float16,
            )
            .unwrap(),
        ),
        ("seconds", Arc::new(aa::TimestampSecondArray::from(vec![Some(3), None, Some(-1)]))),
        ("date64", Arc::new(aa::Date64Array::from(vec![Some(86_400_000), None, Some(0)]))),
        ("time32", Arc::new(aa::Time32SecondArray::from(vec![Some(59), None, Some(0)]))),
        (
            "dec",
            Arc::new(
                aa::Decimal32Array::from(vec![Some(12345), None, Some(-1)])
                    .with_precision_and_scale(6, 2)
                    .unwrap(),
            ),
        ),
        (
            "list",
            Arc::new(aa::ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(
                lists(),
            )),
        ),
        (
            "pairs",
            Arc::new(aa::FixedSizeListArray::from_iter_primitive::<
                arrow::datatypes::Int32Type,
                _,
                _,
            >(lists(), 2)),
        ),
        ("null", Arc::new(aa::NullArray::new(3))),
    ]);
    let list = Series::new(
        "list".into(),
        [Some(Series::new("".into(), [Some(1), None])), None, Some(Series::new("".into(), [2, 3]))],
    );
    let binary = |name: &str| Series::new(name.into(), text.map(|text| text.map(str::as_bytes)));
    let ms = DataType::Datetime(TimeUnit::Milliseconds, None);
    let numbers = |name: &str, values: [i64; 2], dtype: &DataType| {
        Series::new(name.into(), [Some(values[0]), None, Some(values[1])])
            .strict_cast(dtype)
            .unwrap()
    };
    let decimal = Series::new("dec".into(), [Some("123.45"), None, Some("-0.01")]);
    let columns = vec![
        Series::new("utf8".into(), text),
        Series::new("large".into(), text),
        Series::new("view".into(), text),
        Series::new("key".into(), text),
        binary("bin"),
        Series::new("fixed".into(), [Some(&[1_u8, 2][..]), None, Some(&[3, 4])]),
        Series::new("half".into(), [Some(0.5_f32), None, Some(2.0)]),
        numbers("seconds", [3000, -1000], &ms),
        numbers("date64", [86_400_000, 0], &ms),
        numbers("time32", [59_000_000_000, 0], &DataType::Time),
        decimal.strict_cast(&DataType::Decimal(6, 2)).unwrap(),
        list.clone(),
        list.with_name("pairs".into()),
        Series::new_null("null".into(), 3),
    ];
    let frame = DataFrame::new(3, columns.into_iter().map(Series::into_column).collect()).unwrap();
    (array, frame)
}

#[test]
fn files_and_streams_of_any_version_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let (batch, frame) = foreign_types();
    let two = [batch.slice(0, 2), batch.slice(2, 1)];
    let versions = [
        ArrowOptions::default(),
        ArrowOptions::try_new(64, false, MetadataVersion::V4).unwrap(),
        ArrowOptions::try_new(8, true, MetadataVersion::V4).unwrap(),
        ArrowOptions::try_new(16, false, MetadataVersion::V5).unwrap(),
    ];
    for options in versions {
        for write in [write_file, write_stream] {
            write(&path, std::slice::from_ref(&batch), options.clone());
            assert_same(&read_all(&open(&path, 1 << 30).unwrap()).unwrap(), &frame);
            write(&path, &two, options.clone());
            for part_bytes in [1, 1 << 30] {
                let source = open(&path, part_bytes).unwrap();
                assert_same(&read_all(&source).unwrap(), &frame);
                let got = source.read(0, &request(&["dec", "view", "utf8"])).unwrap();
                let rows = got.height();
                assert_same(&got, &frame.select(["dec", "view", "utf8"]).unwrap().slice(0, rows));
            }
        }
    }
}

#[test]
fn dictionaries_of_a_stream_grow_and_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let texts = [vec!["a", "b"], vec!["a", "b", "c"], vec!["z", "a"]];
    let keys = |texts: &Vec<&str>| {
        let array: aa::DictionaryArray<Int8Type> = texts.iter().copied().collect();
        batch(vec![("k", Arc::new(array) as ArrayRef)])
    };
    let batches: Vec<RecordBatch> = texts.iter().map(keys).collect();
    let expected = df!["k" => texts.concat()].unwrap();
    for handling in [DictionaryHandling::Resend, DictionaryHandling::Delta] {
        write_stream(&path, &batches, ArrowOptions::default().with_dictionary_handling(handling));
        for part_bytes in [1, 1 << 30] {
            assert_same(&read_all(&open(&path, part_bytes).unwrap()).unwrap(), &expected);
        }
        // Without the end of the stream, which who writes may leave out.
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
        assert_same(&read_all(&open(&path, 1).unwrap()).unwrap(), &expected);
    }
}

#[test]
fn a_column_that_polars_cannot_hold_is_an_error_only_if_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let wide = aa::Decimal256Array::from(vec![arrow::datatypes::i256::ONE; 3]);
    let interval = aa::IntervalYearMonthArray::from(vec![1, 2, 3]);
    let mut map = aa::MapBuilder::new(None, aa::StringBuilder::new(), aa::Int32Builder::new());
    for _ in 0..3 {
        map.append(true).unwrap();
    }
    let runs = aa::RunArray::<arrow::datatypes::Int32Type>::from_iter(["a", "a", "b"]);
    let unsupported: [(&str, ArrayRef); 4] = [
        ("Decimal256", Arc::new(wide)),
        ("Interval", Arc::new(interval)),
        ("Map", Arc::new(map.finish())),
        ("RunEndEncoded", Arc::new(runs)),
    ];
    for (name, array) in unsupported {
        let numbers = || Arc::new(aa::Int64Array::from(vec![7, 8, 9])) as ArrayRef;
        let batch = batch(vec![("i", numbers()), (name, array), ("j", numbers())]);
        write_file(&path, &[batch], ArrowOptions::default());
        let source = open(&path, 1 << 30).unwrap();
        let expected = df!["j" => [7_i64, 8, 9], "i" => [7_i64, 8, 9]].unwrap();
        assert_same(&source.read(0, &request(&["j", "i"])).unwrap(), &expected);
        let error = source.read(0, &request(&["i", name])).unwrap_err();
        assert!(matches!(error, Error::UnsupportedFile { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("x.arrow") && message.contains(&format!("{name:?}")), "{message}");
    }
}

#[test]
fn files_of_other_columns_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("a"), &[counting(3)], &IpcWriteOptions::default()).unwrap();
    let other = counting(3).drop("f").unwrap();
    write(&dir.path().join("b"), &[other], &IpcWriteOptions::default()).unwrap();
    let error = open(dir.path(), 1).unwrap_err().to_string();
    assert!(error.contains("b/part.00000.arrow"), "{error}");
}

fn flights() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/flights-200k.arrow");
    path.exists().then_some(path)
}

#[test]
fn a_file_of_javascript_is_read() {
    let Some(path) = flights() else { return };
    let reader = FileReader::try_new(fs::File::open(&path).unwrap(), None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let expected = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    let frame = read_all(&open(&path, 1 << 20).unwrap()).unwrap();
    assert_eq!(frame.height(), expected.num_rows());
    let names: Vec<String> = expected.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(frame.get_column_names_owned(), names);
    for (name, array) in names.iter().zip(expected.columns()) {
        let array = arrow::compute::cast(array, &ArrowType::Float64).unwrap();
        let got = frame.column(name).unwrap().cast(&DataType::Float64).unwrap();
        let expected = array.as_primitive::<arrow::datatypes::Float64Type>();
        assert!(got.f64().unwrap().iter().eq(expected.iter()), "{name}");
    }
}
