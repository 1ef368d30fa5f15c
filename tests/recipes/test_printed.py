"""Every number that the four papers print for their own networks, typed again from the papers in their own layout.

A line is a row of a table: its name here, then the numbers from left to right; a dash where the paper has one. A row
that is missing, or one too many, is a mistake too.
"""

from __future__ import annotations

import pytest

from passerby.recipes.tables import PAPERS, load_table

Numbers = list[float | None]

PRINTED = {
    # Market1501, DUKE-MTMC, CUHK03; of each mAP, rank-1, rank-5. A star is re-ranking.
    ("aap_reid", "table1"): """
        baseline           79.1 91.8 96.9  69.7 82.1 91.8  59.6 61.5 79.4
        stride             81.3 92.2 97.1  71.8 84.8 92.5  61.7 63.1 81.1
        band               81.7 92.5 97.5  72.4 84.0 92.7  62.8 63.1 82.1
        cwa_all            85.2 93.8 98.0  75.6 86.6 93.9  71.8 73.6 88.1
        aap_reid           86.3 94.6 98.3  76.2 87.6 94.4  72.4 74.9 89.1
        baseline_reranked  89.4 92.8 96.0  83.5 86.3 92.4  73.5 70.7 80.0
        stride_reranked    91.0 93.4 96.3  86.2 88.6 93.1  76.0 72.8 82.0
        band_reranked      91.8 94.3 97.0  86.4 89.0 93.4  77.2 74.7 82.4
        cwa_all_reranked   93.3 94.9 97.5  88.3 89.9 94.2  84.2 82.1 89.4
        aap_reid_reranked  93.9 95.6 97.7  88.6 90.6 94.8  84.7 82.4 89.5
    """,
    ("aap_reid", "table2"): """
        baseline  25.31 25.21 25.34
        cwa_all   27.85 27.75 27.88
        aap_reid  27.69 27.59 27.72
    """,
    # Its numbers are those of Table 1; the cited ones are in an image.
    ("aap_reid", "table4"): """
        cited_snr  - - - - - -
        cited_cbn  - - - - - -
        cited_cap  - - - - - -
        cited_ctf  - - - - - -
        cited_apr  - - - - - -
        cited_horeid  - - - - - -
        cited_oamn  - - - - - -
        cited_sgam  - - - - - -
        baseline           79.1 91.8  69.7 82.1  59.6 61.5
        aap_reid           86.3 94.6  76.2 87.6  72.4 74.9
        baseline_reranked  89.4 92.8  83.5 86.3  73.5 70.7
        aap_reid_reranked  93.9 95.6  88.6 90.6  84.7 82.4
    """,
    # Both accuracies on Market1501, then on DukMTMC-reID.
    ("dual_attention", "table1"): """
        cited_svdnet  82.30 62.10 76.70 56.80
        cited_apr  84.29 64.67 70.69 51.88
        cited_dare  89.00 76.00 80.20 59.00
        cited_pcb  92.30 77.40 81.80 66.10
        ours  93.40 83.40  82.30 66.50
    """,
    ("dual_attention", "table2"): """
        resnet50  85.76 76.80  76.30 59.50
        se        92.50 83.10  81.50 66.30
        sa        90.50 81.30  78.00 64.30
        se_sa     93.40 83.40  82.30 66.50
    """,
    ("aanet", "table1"): """
        cited_fmn  56.90 74.50
        cited_svdnet  56.80 76.70
        cited_dpfl  60.60 79.20
        cited_kpm_res_50  63.20 80.30
        cited_pcb_res_50  69.20 83.30
        cited_gp_reid_res_101  72.80 85.20
        cited_spreid_res_152  73.34 85.95
        cited_gp_reid_res_101_rr  85.60 89.40
        cited_spreid_res_152_rr  84.99 88.96
        aanet50            72.56 86.42
        aanet152           74.29 87.65
        aanet152_reranked  86.87 90.36
    """,
    ("aanet", "table2"): """
        cited_pdc  63.40 84.40 94.90
        cited_pl_net  69.30 88.20 -
        cited_dpfl  73.10 88.90 -
        cited_glad  73.90 89.90 -
        cited_kpm_res_50  75.30 90.10 97.90
        cited_pcb_res_50  81.60 93.80 98.50
        cited_gp_reid_res_101  81.20 92.20 -
        cited_spreid_res_152  83.36 93.68 98.40
        cited_gp_reid_res_101_rr  90.00 93.00 -
        cited_spreid_res_152_rr  90.96 94.63 97.65
        aanet50            82.45 93.89 98.56
        aanet152           83.41 93.93 98.53
        aanet152_reranked  92.38 95.10 97.94
    """,
    ("aanet", "table3"): """
        g                 62.92 80.18
        g_p               66.35 82.93
        g_p_a             67.28 83.29
        g_p_a_learned     70.47 85.44
        g_p_a_aa_learned  72.56 86.42
    """,
    # gender age hair L.slv L.low S.clth B.pack H.bag bag hat C.up C.low mean
    ("aanet", "table4"): """
        cited_apr  86.45 87.08 83.65 93.66 93.32 91.46 82.79 88.98 75.07 97.13 73.40 69.91 85.33
        aanet152  92.31 88.21 86.58 94.45 94.24 94.83 87.77 89.61 79.72 98.01 77.08 70.81 87.80
    """,
    ("attention_driven", "table3"): """
        cited_lomo_xqda  43.79 - - - 22.22
        cited_nfst  55.43 - - - 29.87
        cited_bow_kissme  44.42 63.90 72.18 78.95 20.76
        cited_hp_net  76.90 91.30 94.50 96.70 -
        cited_spindle  76.90 91.50 94.60 96.70 64.67
        cited_mscan  80.31 - - - 57.53
        cited_part_aligned  81.00 92.00 94.70 - 63.40
        cited_svdnet  82.30 - - - 62.10
        cited_pdc  84.14 92.73 94.92 96.82 63.41
        cited_apr  84.29 93.20 95.19 97.00 64.67
        cited_trinet  84.90 - - - 69.10
        cited_jlml  85.10 - - - 65.50
        cited_dpfl  88.60 - - - 72.60
        cited_glad  89.90 - - - 73.90
        cited_mlfn  90.00 - - - 74.30
        cited_ha_cnn  91.20 - - - 75.70
        cited_duatm  91.42 97.09 - - 76.62
        full  94.99 98.25 99.12 99.38 86.47
    """,
    ("attention_driven", "table4"): """
        cited_lomo_xqda  30.75 17.04
        cited_bow_kissme  25.13 12.17
        cited_gan_r  67.68 47.13
        cited_apr  70.69 51.88
        cited_svdnet  76.70 56.80
        cited_dpfl  79.20 60.60
        cited_ha_cnn  80.50 63.80
        cited_mlfn  81.00 62.80
        cited_duatm  81.16 67.73
        full  86.04 74.57
    """,
    ("attention_driven", "table5"): """
        cited_lomo_xqda  52.20 82.23 94.14 46.25 78.90 88.55
        cited_nfst  58.90 85.60 92.45 53.70 83.05 93.00
        cited_gog  67.30 91.00 96.00 65.50 88.40 93.70
        cited_mscan  74.21 94.33 97.54 67.99 91.04 95.36
        cited_mudeep  76.87 96.12 98.41 75.64 94.36 97.46
        cited_part_aligned  85.40 97.60 99.40 81.60 97.30 98.40
        cited_jlml  83.20 98.00 99.40 80.60 96.90 98.70
        cited_dpfl  86.70 - - 82.00 - -
        cited_pdc  88.70 98.61 99.24 78.29 94.83 97.15
        cited_hp_net  91.80 98.40 99.10 - - -
        cited_mlfn  - - - 82.80 - -
        full  96.43 99.73 99.91  93.58 98.91 99.42
    """,
    ("attention_driven", "table6"): """
        baseline   86.63 66.25  75.98 57.23  85.46 -  80.02 -
        aligned    89.98 72.46  76.71 60.67  89.15 -  84.47 -
        intra      92.04 78.92  80.12 63.75  91.50 -  88.38 -
        inter      92.07 78.46  79.62 64.27  91.76 -  89.53 -
        both       94.65 85.22  84.78 71.92  94.96 -  93.45 -
        both_best  94.99 86.47  86.04 74.57  96.43 -  93.58 -
    """,
    # Both readings of the branches: read from one network, and trained alone.
    ("attention_driven", "table7"): """
        global_with         90.11 96.05 97.33 75.23
        head_with           50.86 73.31 81.00 26.76
        upper_body_with     48.96 70.57 78.06 25.55
        upper_leg_with      48.96 71.41 79.54 28.54
        lower_leg_with      36.22 58.07 67.51 18.08
        parts_with          91.62 96.82 98.01 75.35
        all_with            94.65 98.21 98.96 85.22
        global_without      85.75 94.54 96.79 68.24
        head_without        43.17 67.37 76.00 21.83
        upper_body_without  43.37 64.87 72.74 21.96
        upper_leg_without   42.66 66.15 75.38 23.54
        lower_leg_without   30.58 51.92 61.01 14.23
        parts_without       87.10 95.37 97.62 69.84
        all_without         92.07 97.35 98.51 78.46
        global_alone_with  90.11 96.05 97.33 75.23
        head_alone_with  50.86 73.31 81.00 26.76
        upper_body_alone_with  48.96 70.57 78.06 25.55
        upper_leg_alone_with  48.96 71.41 79.54 28.54
        lower_leg_alone_with  36.22 58.07 67.51 18.08
        parts_alone_with  91.62 96.82 98.01 75.35
        global_alone_without  85.75 94.54 96.79 68.24
        head_alone_without  43.17 67.37 76.00 21.83
        upper_body_alone_without  43.37 64.87 72.74 21.96
        upper_leg_alone_without  42.66 66.15 75.38 23.54
        lower_leg_alone_without  30.58 51.92 61.01 14.23
        parts_alone_without  87.10 95.37 97.62 69.84
    """,
    ("attention_driven", "table8"): """
        without  93.26 97.92 98.90 99.17 82.47
        with     94.65 98.21 98.96 99.38 85.22
    """,
    ("attention_driven", "table9"): """
        concat  89.98 96.31 97.68 98.49 72.46
        fc      90.94 96.58 97.89 98.93 77.11
        inter   92.07 97.35 98.51 99.02 78.46
    """,
    ("attention_driven", "table10"): """
        lambda_0.0  83.64 63.70  72.17 54.35  80.22 -  74.83 -
        lambda_0.1  94.98 86.45  85.90 74.10  94.99 -  93.51 -
        lambda_0.2  94.92 86.19  85.63 73.40  95.91 -  93.56 -
        lambda_0.3  94.84 85.58  85.56 72.83  95.74 -  93.53 -
        lambda_0.4  94.73 85.36  84.93 72.27  95.41 -  93.49 -
        lambda_0.5  94.65 85.22  84.78 71.92  94.96 -  93.45 -
        lambda_0.6  94.50 84.82  83.71 70.27  94.88 -  92.99 -
        lambda_0.7  94.26 84.74  83.58 69.42  94.74 -  92.57 -
        lambda_0.8  94.09 84.61  83.21 69.10  94.40 -  91.99 -
        lambda_0.9  94.00 84.13  82.49 68.14  94.16 -  91.65 -
        lambda_1.0  93.97 84.02  81.46 67.32  93.56 -  91.19 -
    """,
    ("attention_driven", "table11"): """
        beta_0  94.28 98.14 98.91 85.19  84.42 92.23 94.28 71.26
        beta_1  94.35 98.18 98.81 85.22  84.87 92.81 94.66 71.62
        beta_2  94.36 98.18 98.78 85.53  85.41 92.63 94.85 71.87
        beta_3  94.95 98.45 98.99 85.85  85.42 92.68 94.48 72.32
        beta_4  94.77 98.12 98.87 85.57  85.14 92.28 94.32 71.96
        beta_5  94.65 98.21 98.96 85.22  84.78 92.10 94.30 71.92
        beta_6  94.53 98.30 98.90 85.13  84.41 92.68 94.79 71.42
    """,
    # Multiply-adds in 10⁹ (the paper: 2.28 × 10¹⁰ of VGG), weights in millions.
    ("attention_driven", "table12"): """
        alexnet    1.07  58.3
        vgg        22.8 134.2
        resnet50   5.58  23.5
        googlenet  2.31   6.0
        base       2.26   6.8
        full       2.69  10.4
    """,
}
METRICS = {
    ("aap_reid", "table1"): ("mAP", "rank-1", "rank-5"),
    ("aap_reid", "table2"): ("parameters",),
    ("aap_reid", "table3"): ("mAP", "rank-1", "rank-5", "parameters"),
    ("aap_reid", "table4"): ("mAP", "rank-1"),
    ("dual_attention", "table1"): ("rank-1", "mAP"),
    ("dual_attention", "table2"): ("rank-1", "mAP"),
    ("aanet", "table1"): ("mAP", "rank-1"),
    ("aanet", "table2"): ("mAP", "rank-1", "rank-10"),
    ("aanet", "table3"): ("mAP", "rank-1"),
    ("attention_driven", "table3"): ("rank-1", "rank-5", "rank-10", "rank-20", "mAP"),
    ("attention_driven", "table4"): ("rank-1", "mAP"),
    ("attention_driven", "table5"): ("rank-1", "rank-5", "rank-10"),
    ("attention_driven", "table6"): ("rank-1", "mAP"),
    ("attention_driven", "table7"): ("rank-1", "rank-5", "rank-10", "mAP"),
    ("attention_driven", "table8"): ("rank-1", "rank-5", "rank-10", "rank-20", "mAP"),
    ("attention_driven", "table9"): ("rank-1", "rank-5", "rank-10", "rank-20", "mAP"),
    ("attention_driven", "table10"): ("rank-1", "mAP"),
    ("attention_driven", "table11"): ("rank-1", "rank-5", "rank-10", "mAP"),
    ("attention_driven", "table12"): ("multiply-adds", "weights"),
}
COLUMNS = {
    "aap_reid": {
        "table1": "Market-1501 DukeMTMC-reID CUHK03",
        "table2": "Market-1501 DukeMTMC-reID CUHK03",
        "table4": "Market-1501 DukeMTMC-reID CUHK03",
    },
    "dual_attention": {"table1": "Market-1501 DukeMTMC-reID", "table2": "Market-1501 DukeMTMC-reID"},
    "aanet": {"table1": "DukeMTMC-reID", "table3": "DukeMTMC-reID"},
    "attention_driven": {
        "table4": "DukeMTMC-reID",
        "table5": "CUHK03-L CUHK03-D",
        "table6": "Market-1501 DukeMTMC-reID CUHK03-L CUHK03-D",
        "table10": "Market-1501 DukeMTMC-reID CUHK03-L CUHK03-D",
        "table11": "Market-1501 DukeMTMC-reID",
    },
}
"""Tables that are not of Market-1501 alone."""

AAP_TABLE_3 = """
    resnet18   mAP         74.5   70.7   73.60  75.70  75.80
    resnet18   rank-1      88.2   86.3   87.1   88.50  89.40
    resnet18   rank-5      95.5   96.6   94.9   97.50  96.20
    resnet18   parameters  11.80  11.72  11.62  11.71  11.71
    resnet34   mAP         77.9   74.8   78.5   79.9   80.3
    resnet34   rank-1      89.5   88.3   90     90.6   91.5
    resnet34   rank-5      95.7   95.2   96.3   96.7   96.9
    resnet34   parameters  22.04  21.89  21.73  21.88  21.88
    resnet50   mAP         86.2   84.4   85.3   85.6   86.3
    resnet50   rank-1      94.3   93.3   93.4   93.8   94.6
    resnet50   rank-5      98     97.7   97.7   98.2   98.3
    resnet50   parameters  30.20  27.83  25.31  27.69  27.69
    resnet101  mAP         85.7   83.6   85.9   85.7   86.6
    resnet101  rank-1      93.4   92.5   93.9   93.8   94.2
    resnet101  rank-5      97.6   97.2   98.6   98.0   98.2
    resnet101  parameters  53.82  49.20  44.30  48.93  48.93
"""
AAP_KINDS = ("bam", "sp", "eca", "cwa_add", "cwa_mul")


def typed(text: str) -> dict[str, Numbers]:
    lines = [line.split() for line in text.strip().splitlines()]
    return {name: [None if number == "-" else float(number) for number in numbers] for name, *numbers in lines}


def test_no_table_is_forgotten() -> None:
    tables = {(paper, table) for paper in PAPERS for table in PAPERS[paper]}
    assert tables == {*PRINTED, ("aap_reid", "table3")}


@pytest.mark.parametrize(("paper", "table"), PRINTED)
def test_a_table_has_the_papers_rows_and_numbers(paper: str, table: str) -> None:
    rows = load_table(paper, table).rows
    ours = {name: [number for numbers in row.printed for number in numbers] for name, row in rows.items()}
    assert ours == typed(PRINTED[paper, table])


@pytest.mark.parametrize(("paper", "table"), METRICS)
def test_what_the_numbers_are_and_of_which_data(paper: str, table: str) -> None:
    found = load_table(paper, table)
    assert found.metrics == METRICS[paper, table]
    assert " ".join(column.title for column in found.columns) == COLUMNS[paper].get(table, "Market-1501")


def test_table_3_of_aap_reid_has_the_papers_rows_and_numbers() -> None:
    table = load_table("aap_reid", "table3")
    lines = [line.split() for line in AAP_TABLE_3.strip().splitlines()]
    assert len(table.rows) == 20
    for backbone, metric, *numbers in lines:
        for kind, number in zip(AAP_KINDS, numbers, strict=True):
            row = table.rows[f"{backbone}_{kind}"]
            assert row.printed[0][table.metrics.index(metric)] == float(number), (backbone, kind, metric)
            assert dict(row.changes) == {"model.options.backbone": backbone, "model.options.attention": kind}


# Table 1 of AaP-ReID prints increments (↑) over its first row, of the re-ranked rows over the first of these.
INCREMENTS = """
    stride             2.2 0.4 0.2  2.1 2.7 0.7  2.1 1.6 1.7
    band               2.6 0.7 0.6  2.7 1.9 0.9  3.2 1.6 2.7
    cwa_all            6.1 2.0 1.1  5.9 4.5 2.1  12.2 12.1 8.7
    aap_reid           7.2 2.8 1.4  6.5 5.5 2.6  12.8 13.4 9.7
    stride_reranked    1.6 0.6 0.3  2.7 2.3 0.7  2.5 2.1 2.0
    band_reranked      2.4 1.5 1.0  2.9 2.7 0.6  3.7 4.0 2.4
    cwa_all_reranked   3.9 2.1 1.5  4.8 3.6 1.8  10.7 11.4 9.4
    aap_reid_reranked  4.5 2.8 1.7  5.1 4.3 2.4  11.2 11.7 9.5
"""


def test_the_increments_are_the_papers() -> None:
    rows = load_table("aap_reid", "table1").rows
    ours = {
        name: [
            round(value - below, 1)
            for mine, base in zip(row.printed, rows[row.over].printed, strict=True)
            for value, below in zip(mine, base, strict=True)
            if value is not None and below is not None
        ]
        for name, row in rows.items()
        if row.over
    }
    assert ours["band_reranked"][5] == 1.0, "on DukeMTMC-reID the paper prints 0.6 beside 93.4, and 92.4 above"
    ours["band_reranked"][5] = 0.6
    assert ours == typed(INCREMENTS)


def test_cited_rows_cannot_be_run() -> None:
    rows = [(name, row) for paper in PAPERS for table in PAPERS[paper].values() for name, row in table.rows.items()]
    assert all(row.unsupported.startswith("another network, whose") for name, row in rows if name.startswith("cited_"))
    assert sum(name.startswith("cited_") for name, _ in rows) == 8 + 4 + 9 + 10 + 1 + 17 + 9 + 11
