use super::*;

#[test]
fn paths_say_what_they_name() {
    for (path, kind) in [
        ("/lab.example.com/m0001/@v/list", FileKind::List),
        ("/lab.example.com/m0001/@latest", FileKind::Latest),
        ("/lab.example.com/m0001/@v/v1.0.0.info", FileKind::Info),
        ("/lab.example.com/m0001/@v/v1.0.0.mod", FileKind::Mod),
        ("/lab.example.com/m0001/@v/v1.0.0.zip", FileKind::Zip),
        ("/sumdb/sum.example.com/supported", FileKind::SumDb),
        ("/", FileKind::Other),
    ] {
        assert_eq!(FileKind::of(path), kind, "{path}");
    }
}

#[test]
fn zips_have_the_size_asked_for() {
    for size in [2_000, 50_000, 300_000] {
        let universe = Universe::builder().modules(2).zip_size(ZipSize::Fixed(size)).build();
        for module in universe.modules() {
            let off = module.zip.len().abs_diff(size);
            assert!(off <= 64, "asked {size}, got {}", module.zip.len());
        }
    }
}

#[test]
fn skewed_sizes_stay_in_their_range() {
    let size = ZipSize::Skewed { smallest: 2_000, largest: 40_000 };
    let universe = Universe::builder().modules(40).zip_size(size).build();
    let sizes: Vec<_> = universe.modules().iter().map(|module| module.zip.len()).collect();
    assert!(sizes.iter().all(|size| (1_900..=40_100).contains(size)), "{sizes:?}");
    assert!(sizes.iter().max() > sizes.iter().min());
}

#[test]
fn a_seed_decides_everything() {
    let first = |seed| Universe::builder().seed(seed).build().modules()[0].zip_hash.clone();
    assert_eq!(first(7), first(7));
    assert_ne!(first(7), first(8));
}

#[test]
fn unknown_modules_and_versions_are_absent() {
    let universe = Universe::builder().modules(1).build();
    assert!(universe.file("/lab.example.com/m0000/@v/list", false).is_some());
    for path in ["/lab.example.com/m0001/@v/list", "/lab.example.com/m0000/@v/v1.0.1.mod", "/m0000/@latest", ""] {
        assert!(universe.file(path, false).is_none(), "{path}");
    }
}

#[test]
fn the_checksum_database_has_every_module() {
    let universe = Universe::builder().modules(3).build();
    let text = |asked: &str| universe.sumdb(asked).map(|body| String::from_utf8_lossy(&body).into_owned());
    let module = &universe.modules()[1];
    let lookup = text(&format!("lookup/{}@{VERSION}", module.path)).unwrap();
    assert!(lookup.starts_with("1\n") && lookup.contains(&module.zip_hash) && lookup.contains(&module.go_mod_hash));
    assert!(text("latest").unwrap().starts_with("go.sum database tree\n3\n"));
    assert_eq!(universe.sumdb("tile/8/0/000.p/3").unwrap().len(), 3 * 32);
    assert!(text("tile/8/0/000.p/4").is_none() && text("lookup/lab.example.com/m0003@v1.0.0").is_none());
    assert!(universe.sumdb_key().starts_with(SUMDB));
}

#[test]
fn changed_files_differ_from_what_go_sum_promises() {
    let universe = Universe::builder().modules(1).build();
    for path in ["/lab.example.com/m0000/@v/v1.0.0.mod", "/lab.example.com/m0000/@v/v1.0.0.zip"] {
        let (right, wrong) = (universe.file(path, false).unwrap(), universe.file(path, true).unwrap());
        assert_ne!(*right, *wrong, "{path}");
    }
}

#[test]
fn shapes_require_what_they_say() {
    let requires = |shape| -> Vec<Vec<usize>> {
        Universe::builder().modules(4).shape(shape).build().modules().iter().map(|m| m.requires.clone()).collect()
    };
    let expect = |shape, lists: [&[usize]; 4]| assert_eq!(requires(shape), lists.map(<[usize]>::to_vec));
    expect(Shape::Flat, [&[], &[], &[], &[]]);
    expect(Shape::Chain, [&[1], &[2], &[3], &[]]);
    expect(Shape::BinaryTree, [&[1, 2], &[3], &[], &[]]);
}

#[test]
fn a_project_lists_what_its_go_line_asks_for() {
    let universe = Universe::builder().modules(4).shape(Shape::Chain).build();
    let folder = tempfile::tempdir().unwrap();
    universe.write_project(folder.path(), &ProjectSpec { missing_sums: 1, ..ProjectSpec::default() }).unwrap();
    let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("go.mod").matches("// indirect").count(), 3);
    assert_eq!(read("go.sum").lines().count(), 6);
    let old = ProjectSpec { go_line: Some("1.16".to_owned()), ..ProjectSpec::default() };
    universe.write_project(folder.path(), &old).unwrap();
    assert_eq!(read("go.mod").matches(PREFIX).count(), 2, "the project and its one root");
}
