//! Tests of the embedded table: nothing is lost, cells are found, wrong questions are refused.

use super::*;

const SKIPS: &str = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|";
const IS_DARTS: &str =
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
const I_DARTS: &str = "|skip_connect~0|+|skip_connect~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
const S_DARTS: &str = "|skip_connect~0|+|skip_connect~0|none~1|+|skip_connect~0|skip_connect~1|skip_connect~2|";

fn rounded(accuracies: [f64; 6]) -> [String; 6] {
    accuracies.map(|a| format!("{a:.2}"))
}

#[test]
fn all_rows_render_as_the_csv_they_were_packed_from() {
    let mut csv = String::from(
        "index,arch,cifar10_valid,cifar10_test,cifar100_valid,cifar100_test,imagenet16_valid,imagenet16_test,\
         params_mb,flops_m,train_s_per_epoch\n",
    );
    for index in 0..CELLS {
        let r = query_index(index).unwrap();
        assert_eq!(r.index, index);
        let numbers = r.accuracies().into_iter().chain([r.params_mb, r.flops_m, r.train_s_per_epoch]);
        csv += &format!("{index},{}", r.arch);
        numbers.for_each(|n| csv += &format!(",{n}"));
        csv.push('\n');
    }
    let mut crc = flate2::Crc::new();
    crc.update(csv.as_bytes());
    assert_eq!((csv.len(), crc.sum()), (2_485_476, 0xda8e_0066));
}

#[test]
fn cells_of_the_paper_have_the_accuracies_of_the_paper() {
    for (arch, method) in [(SKIPS, "DARTS"), (IS_DARTS, "IS-DARTS"), (I_DARTS, "I-DARTS"), (S_DARTS, "S-DARTS")] {
        let row = query(&Genotype::parse(arch).unwrap()).unwrap();
        let paper = PAPER.iter().find(|p| p.method == method).unwrap();
        let paper = paper.accuracies.map(|a| format!("{:.2}", a.unwrap()));
        assert_eq!(rounded(row.accuracies()), paper, "{method}");
    }
    assert_eq!(query_index(1835).unwrap().arch, SKIPS);
    assert_eq!(query_index(9930).unwrap().arch, IS_DARTS);
    let is_darts = ["91.55", "94.36", "73.49", "73.51", "46.37", "46.34"];
    assert_eq!(rounded(query_index(9930).unwrap().accuracies()), is_darts);
}

#[test]
fn the_best_of_every_column_are_those_of_the_benchmark() {
    assert_eq!(rounded(best_accuracies().unwrap()), ["91.61", "94.37", "73.49", "73.51", "46.73", "47.31"]);
}

#[test]
fn a_cell_is_found_by_index_and_by_genotype_alike() {
    for index in [0, 1, 1835, 9930, 15_624] {
        let row = query_index(index).unwrap();
        assert_eq!(query(&row.arch.parse().unwrap()).unwrap(), row);
    }
}

#[test]
fn the_rank_counts_the_cells_that_are_better() {
    let rows: Vec<Row> = (0..CELLS).map(|i| query_index(i).unwrap()).collect();
    let best = rows.iter().max_by(|a, b| a.cifar10_test.total_cmp(&b.cifar10_test)).unwrap();
    assert_eq!(rank(best).unwrap(), 1);
    let is_darts = &rows[9930];
    let better = rows.iter().filter(|r| r.cifar10_test > is_darts.cifar10_test).count();
    assert_eq!(rank(is_darts).unwrap(), better + 1);
}

#[test]
fn a_question_that_has_no_answer_is_refused_with_what_was_expected() {
    let darts = "Genotype(normal=[('none', 0), ('none', 1), ('none', 0), ('none', 1), ('none', 0), ('none', 1), \
        ('none', 0), ('none', 1)], normal_concat=range(2, 6), reduce=[('none', 0), ('none', 1), ('none', 0), \
        ('none', 1), ('none', 0), ('none', 1), ('none', 0), ('none', 1)], reduce_concat=range(2, 6))";
    for (text, says) in [
        (IS_DARTS.replacen("nor_conv_3x3", "nor_conv_5x5", 1).as_str(), "unknown op `nor_conv_5x5`"),
        (darts, "got a genotype of the space darts, expected one of the space nas-bench-201"),
    ] {
        let message = Genotype::parse(text).and_then(|cell| query(&cell)).expect_err(text).to_string();
        assert!(message.contains(says), "{text}: {message}");
    }
    let mut genotype = Genotype::parse(IS_DARTS).unwrap();
    genotype.chosen.pop();
    assert!(query(&genotype).unwrap_err().to_string().contains("edge 3<-2: got 0 candidates alive, expected 1"));
}

#[test]
fn damaged_data_is_noticed() {
    let good = include_bytes!("table.bin.z");
    assert!(Table::decode(good).is_some());
    assert!(Table::decode(&good[..good.len() / 2]).is_none());
    assert!(Table::decode(&[]).is_none());
}
