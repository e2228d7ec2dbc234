"""Evaluation: scores by definition, items as lm-eval asks them, the same answers as its `hf`."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import ieee_lib.evaluation.continuations as continuations
from ieee_lib import InputError, Scale, Study
from ieee_lib.config import CorpusConfig, EnsembleSpec, EvaluationSpec, ModelConfig
from ieee_lib.config.execution import Execution
from ieee_lib.evaluation.continuations import score_continuations
from ieee_lib.evaluation.probe import answer_items, continuation_items
from ieee_lib.evaluation.tasks import LOCAL, fingerprint, open_task, split_of
from ieee_lib.jobs.evaluation_job import singles_and_prefixes
from ieee_lib.model import memory
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.runs.store import RunStore
from ieee_lib.text.packing import prepare
from ieee_lib.text.tokenizer import separator_id, train_bpe
from tests.conftest import TINY

EXECUTION = Execution(compile="never", accelerator="cpu", logger="none")


@pytest.fixture(scope="session")
def corpus(session_home):
    """The standard library as in conftest, with half of its documents held out."""
    config = {"source": "stdlib", "vocab_size": 300, "max_tokens": 60_000, "val_fraction": 0.5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IEEE_LIB_HOME", str(session_home))
        return prepare(CorpusConfig(**config))


def differing(seeds):
    """Members with logits of a trained model's size, so that float32 is good to 1e-5 nats."""
    model = StackedDecoder(TINY, seeds=seeds)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model.requires_grad_(False)


def requests(n=40, longest=24):
    """Contexts and continuations of many lengths, some longer than TINY's context of 16."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, longest, size=(n, 2)).tolist()
    return [
        tuple(random.integers(0, TINY.vocab_size, size=length).tolist() for length in pair)
        for pair in lengths
    ]


def by_definition(model, subset, context, continuation):
    """One token after another in float64, from as much of the past as the context has room for."""
    ids, room = [*context, *continuation], model.config.block_size
    ids = ids[-(room + 1) :]
    logits = model(torch.tensor(ids[:-1]).expand(model.n_member, 1, -1).contiguous()).double()
    log_p = logits[list(subset), 0].log_softmax(-1).mean(0).log_softmax(-1)  # (T, V)
    n_scored = min(len(continuation), len(ids) - 1)
    aimed = list(zip(log_p[-n_scored:], ids[-n_scored:], strict=True))
    greedy = all(int(row.argmax()) == token for row, token in aimed)
    return sum(float(row[token]) for row, token in aimed), greedy


def test_scores_are_the_sums_of_log_probabilities():
    model, subsets = differing([0, 1, 2]), [(0,), (1,), (2,), (0, 1), (0, 1, 2)]
    queries = requests()
    best = model(torch.tensor([[[7]]] * 3))[0, 0, 0].argmax().item()
    queries.append(([7], [best]))  # member 0's likeliest
    scores = score_continuations(model, queries, subsets, batch_size=8)
    for i, subset in enumerate(subsets):
        expected = [by_definition(model, subset, *request) for request in queries]
        assert scores.log_p[i].tolist() == pytest.approx([e[0] for e in expected], abs=2e-5)
        assert scores.greedy[i].tolist() == [e[1] for e in expected]
    assert scores.greedy[0, -1] and scores.log_p.dtype == torch.float64


def test_what_is_too_long_loses_its_left_and_is_counted():
    model, long = differing([0]), list(range(40))
    queries = [
        (long[:16], [1]),
        (long[:17], [1]),
        ([9, *long[1:17]], [1]),
        ([1], long),
        ([1], long[:16]),
    ]
    scores = score_continuations(model, queries, [(0,)])
    assert (scores.n_truncated, scores.n_cut) == (3, 1)
    assert scores.log_p[0, 1] == scores.log_p[0, 2]  # they differ in a token that was lost
    alone = score_continuations(model, [(long[23:24], long[24:])], [(0,)])
    assert scores.log_p[0, 3] == pytest.approx(alone.log_p[0, 0].item(), abs=1e-6)


def test_batches_and_chunks_change_nothing(monkeypatch):
    model, subsets = differing([0, 1]), [(0,), (1,), (0, 1)]
    queries = requests(60)
    queries += queries[::-1]  # equal choices must tie, wherever they stand
    first, *others = [
        score_continuations(model, queries, subsets, batch_size=b) for b in (1, 7, 32)
    ]
    sizes, inner = [], continuations.subset_sums
    monkeypatch.setitem(memory.SCORED_VALUES, "cpu", 5 * TINY.vocab_size)
    monkeypatch.setattr(
        continuations,
        "subset_sums",
        lambda log_p, *rest: sizes.append(log_p.shape[1]) or inner(log_p, *rest),
    )
    in_chunks = score_continuations(model, queries, subsets)
    assert max(sizes) == 5
    for scores in (*others, in_chunks):
        assert scores.log_p.numpy() == pytest.approx(first.log_p.numpy(), abs=1e-5)
        assert torch.equal(scores.greedy, first.greedy)
        assert torch.equal(scores.log_p, scores.log_p.flip(1))


@pytest.mark.parametrize("request_", [([], [1]), ([1], [])])
def test_nothing_is_no_request(request_):
    with pytest.raises(InputError, match=r"request = .*at least one token each"):
        score_continuations(differing([0]), [request_], [(0,)])


# The probe


def test_the_probe_asks_for_the_true_continuation(corpus):
    items = continuation_items(corpus, block_size=16, n_item=200)
    documents = [corpus.val_ids[a:b].tolist() for a, b in corpus.val_documents()]
    texts = [f" {' '.join(map(str, ids))} " for ids in documents]

    def holders(ids):
        return {i for i, text in enumerate(texts) if f" {' '.join(map(str, ids))} " in text}

    separator = separator_id(corpus.tokenizer)
    for item in items:
        assert len(item.context) == 8 and [len(c) for c in item.choices] == [4] * 4
        assert separator not in {*item.context, *sum(item.choices, ())}
        assert holders(item.context + item.choices[item.gold])
        assert len(set(item.documents)) == 4
    assert len(set(items)) == 200 and {item.gold for item in items} == {0, 1, 2, 3}
    assert items[:50] == continuation_items(corpus, block_size=16, n_item=50)
    wrong = [c for item in items for i, c in enumerate(item.choices) if i != item.gold]
    assert all(holders(choice) for choice in wrong)


def test_probe_answers_are_the_choices_that_the_context_speaks_for(corpus, monkeypatch):
    items = continuation_items(corpus, block_size=16, n_item=80)
    after = {(item.context, item.choices[item.gold]) for item in items}

    def knowing(model, queries, subsets):
        right = torch.tensor([request in after for request in queries]).double()
        common = torch.tensor([float(sum(choice)) for _, choice in queries]).double()
        log_p = torch.stack([common + right, common - right, common])
        return continuations.ContinuationScores(log_p, log_p > 0, 0, 0)

    monkeypatch.setattr(continuations, "score_continuations", knowing)
    answers = answer_items(items, None, [(0,), (1,), (0, 1)], separator=0)
    knows, avoids, cannot_tell = answers["correct"]["acc_mutual_info"]
    assert knows == "1" * 80 and avoids == "0" * 80
    assert 10 <= cannot_tell.count("1") <= 30  # the place of the true one gives nothing away
    by_likelihood = answers["correct"]["acc"]  # what is common drowns what the context adds
    assert max(abs(marks.count("1") - 20) for marks in by_likelihood) <= 10
    assert answers["n_choice"] == {"4": 80}


@pytest.fixture
def small_corpus(home, tmp_path):
    """Validation text of as many documents, of as many words, as asked for."""

    def make(n_document, n_word):
        (tmp_path / "train.txt").write_text("a b c d e f g h " * 50)
        folder = tmp_path / f"val{n_document}"
        folder.mkdir()
        for i in range(n_document):
            (folder / f"{i}.txt").write_text(" ".join(f"{i}{j}" for j in range(n_word)))
        sources = {"source": f"files:{tmp_path}/train.txt", "val_source": f"files:{folder}/*.txt"}
        return prepare(CorpusConfig(**sources, vocab_size=260))

    return make


@pytest.mark.parametrize("n_document", [1, 3])
def test_parts_stand_for_documents_where_these_are_too_few(small_corpus, n_document):
    corpus = small_corpus(n_document, 600)
    items = continuation_items(corpus, block_size=16)
    ids = " ".join(map(str, corpus.val_ids))
    assert len(items) > 60 and len({i for item in items for i in item.documents}) > 20
    for item in items:
        true = " ".join(map(str, item.context + item.choices[item.gold]))
        assert true in ids and len(set(item.documents)) == 4
        assert separator_id(corpus.tokenizer) not in {*item.context, *sum(item.choices, ())}


def test_too_little_held_out_text_is_named(small_corpus):
    with pytest.raises(
        InputError, match=r"task = 'continuation': hold out more text .* needs 4 .* has 3"
    ):
        continuation_items(small_corpus(3, 5), block_size=16)
    corpus = small_corpus(5, 50)
    every = continuation_items(corpus, block_size=16)
    assert continuation_items(corpus, block_size=16, n_item=len(every) + 1) == every  # at most
    allowed = r"task = 'continuation': hold out longer documents.* 768 tokens or more, .* none"
    with pytest.raises(InputError, match=allowed):
        continuation_items(small_corpus(4, 120), block_size=1024)


# Tasks of lm-eval


ITEMS = {
    "piqa/valid.jsonl": [
        {"goal": "boil an egg", "sol1": "put it in water", "sol2": "put it in sand"},
        {"goal": "dry a towel", "sol1": "hang it in rain", "sol2": "hang it in the sun"},
    ],
    "sciq/valid.jsonl": [
        {
            "question": "what falls",
            "distractor3": "c",
            "distractor1": "a",
            "distractor2": "b",
            "correct_answer": "apple",
            "support": support,
        }
        for support in ("", "An apple falls.")
    ],
    "arc_easy/ARC-Easy-test.jsonl": [
        {
            "id": "A1",
            "question": {
                "stem": "Which is hot?",
                "choices": [{"text": text, "label": label} for label, text in choices.items()],
            },
            "answerKey": key,
        }
        for key, choices in (
            ("B", {"A": "ice", "B": "fire", "C": "snow", "D": "air"}),
            ("3", {"1": "ice", "2": "snow", "3": "fire"}),
        )
    ],
}


@pytest.fixture
def files(tmp_path):
    """Two items of each task, as its authors publish them."""
    folder = tmp_path / "files"
    for name, rows in ITEMS.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "piqa" / "valid-labels.lst").write_text("0\n1\n")
    return folder


ASKED = {
    "piqa": ("Question: dry a towel\nAnswer:", [" hang it in rain", " hang it in the sun"], 1),
    "sciq": ("An apple falls.\nQuestion: what falls\nAnswer:", [" a", " b", " c", " apple"], 3),
    "arc_easy": ("Question: Which is hot?\nAnswer:", [" ice", " snow", " fire"], 2),
}


@pytest.mark.parametrize("name", LOCAL)
def test_local_items_are_asked_as_lm_eval_asks(name, files):
    task = open_task(name, files=files)
    assert split_of(task) == LOCAL[name].split
    task.build_all_requests()
    last = [r for r in task.instances if r.doc_id == 1]
    context, choices, gold = ASKED[name]
    assert [r.args for r in last] == [(context, choice) for choice in choices]
    assert task.doc_to_target(last[0].doc) == gold


def spoil(folder, name, text):
    (folder / name).write_text(text)


BAD = [
    (
        "piqa",
        lambda f: (f / "piqa/valid-labels.lst").unlink(),
        r"valid-labels.lst': is missing; task piqa",
    ),
    (
        "sciq",
        lambda f: (f / "sciq/valid.jsonl").unlink(),
        r"sciq/valid.jsonl': is missing; task sciq",
    ),
    (
        "piqa",
        lambda f: spoil(f, "piqa/valid-labels.lst", "0\n"),
        "valid-labels.lst': holds 1 labels for the 2 items",
    ),
    (
        "piqa",
        lambda f: spoil(f, "piqa/valid-labels.lst", "0\n2\n"),
        "line 2 is no item of piqa: label = '2'",
    ),
    (
        "sciq",
        lambda f: spoil(f, "sciq/valid.jsonl", '{"question": "q"}'),
        "line 1 .* lacks 'support'",
    ),
    (
        "sciq",
        lambda f: spoil(f, "sciq/valid.jsonl", "{"),
        "valid.jsonl': line 1 is no item of sciq",
    ),
    ("sciq", lambda f: spoil(f, "sciq/valid.jsonl", ""), "valid.jsonl': holds no item"),
    (
        "arc_easy",
        lambda f: spoil(
            f,
            "arc_easy/ARC-Easy-test.jsonl",
            json.dumps({**ITEMS["arc_easy/ARC-Easy-test.jsonl"][0], "answerKey": "E"}),
        ),
        "no item of arc_easy: answerKey = 'E': allowed are A, B, C, D",
    ),
    ("boolq", lambda f: None, "can hold items of piqa, sciq, arc_easy only, not of boolq"),
]


@pytest.mark.parametrize(("name", "damage", "message"), BAD)
def test_bad_files_are_named(name, damage, message, files):
    damage(files)
    with pytest.raises(InputError, match=message):
        open_task(name, files=files)


@pytest.fixture
def small_index(monkeypatch):
    """A few folders of lm-eval's index: the whole one takes ten seconds."""
    import lm_eval.tasks

    base = Path(lm_eval.tasks.__file__).parent
    folders = [base / name for name in ("winogrande", "mmlu/default", "gsm8k", "lambada")]
    manager = lm_eval.tasks.TaskManager(include_defaults=False, include_path=folders)
    monkeypatch.setattr("ieee_lib.evaluation.tasks._index", lambda: manager)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("winogrand", "no task of lm-eval .did you mean 'winogrande'.*`lm-eval ls subtasks`"),
        ("mmlu", "task = 'mmlu': is a group of tasks.*`lm-eval ls subtasks`"),
        ("gsm8k", "task = 'gsm8k': must be multiple-choice; its output_type is generate_until"),
        ("lambada_openai", "must be multiple-choice; its output_type is loglikelihood"),
    ],
)
def test_tasks_that_cannot_be_asked_are_refused(name, message, small_index):
    with pytest.raises(InputError, match=message):
        open_task(name)


@pytest.mark.parametrize("name", ["piqa", "winogrande"])
def test_a_hub_out_of_reach_is_named(name, monkeypatch, small_index):
    def unreachable(*args, **options):
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(InputError, match=rf"task = '{name}'.*no route.*`files` takes a folder"):
        open_task(name)


# Records


@pytest.fixture
def members(spec):
    return tuple(spec.replace(init_seed=seed) for seed in range(3))


@pytest.fixture
def study(home, corpus):
    scale = dataclasses.replace(Scale.load("smoke"), execution=EXECUTION)
    return Study(scale, "train", RunStore.of("smoke"), corpus.fingerprint, corpus.folder)


def test_models_and_ensembles_are_evaluated_once(study, members, files):
    models = EnsembleSpec(members)
    specs = [
        EvaluationSpec(models=models, task="continuation", n_item=30),
        EvaluationSpec(models=models, task="arc_easy", files=fingerprint("arc_easy", files)),
    ]
    frame = study.evaluate(specs, files=files)
    ids = [m.run_id for m in members]
    subsets = [(ids[0],), (ids[1],), (ids[2],), (ids[0], ids[1]), tuple(ids)]
    metrics = frame.groupby("task", sort=False).metric.unique()
    assert metrics["continuation"].tolist() == ["acc", "acc_mutual_info"]
    assert metrics["arc_easy"].tolist() == ["acc", "acc_norm"]
    for spec, (_, rows) in zip(specs, frame.groupby("task", sort=False), strict=True):
        rows = rows[rows.metric == "acc"]
        assert set(rows.task) == {spec.task} and list(rows.members) == subsets
        assert list(rows.k) == [1, 1, 1, 2, 3] and set(rows.K) == {3}
        assert all(row.correct.mean() == row.accuracy for row in rows.itertuples())
        assert set(rows.n_item) == {len(rows.correct.iloc[0])}
        assert set(rows.D) == {1024} and set(rows.wd) == {0.8} and set(rows.n_diverged) == {0}
    probe, arc = (rows for _, rows in frame.groupby("task", sort=False))
    assert set(probe.n_item) == {30} and set(probe.chance) == {0.25}
    assert arc.chance.tolist() == pytest.approx([(1 / 4 + 1 / 3) / 2] * 10)
    assert set(arc.split) == {"test"}
    assert (
        set(probe.truncated) == {0.0} and set(arc.truncated) == {1.0} and set(arc["cut"]) == {0.0}
    )
    record = study.store.get(specs[1].run_id)
    assert record["kind"] == "evaluation" and record["lm_eval"]
    assert set(record["files"]) == {"arc_easy/ARC-Easy-test.jsonl"}
    alone = EvaluationSpec(models=EnsembleSpec(members[1:2]), task="continuation", n_item=30)
    assert study.evaluate([alone]).correct.iloc[0].tolist() == probe.correct.iloc[1].tolist()
    pd.testing.assert_frame_equal(study.reading().evaluate(specs), frame)  # nothing is needed again


def test_a_trained_model_beats_chance_on_the_probe(study, spec):
    trained = spec.replace(seed_tokens=8192, epochs=4)
    models = EnsembleSpec((trained,))
    row = study.evaluate([EvaluationSpec(models=models, task="continuation", n_item=400)]).iloc[1]
    assert row.metric == "acc_mutual_info"
    assert row.accuracy > row.chance + 3 * (row.chance * (1 - row.chance) / row.n_item) ** 0.5


def test_a_model_that_diverged_is_left_out(study, members, spec):
    wild = spec.replace(lr=1e9, wd=0.0, clip_norm=1e9, init_seed=9)
    models = EnsembleSpec((members[0], wild))
    frame = study.evaluate([EvaluationSpec(models=models, task="continuation", n_item=5)])
    assert set(frame.members) == {(members[0].run_id,)} and set(frame.n_diverged) == {1}
    lost = EvaluationSpec(models=EnsembleSpec((wild,)), task="continuation", n_item=5)
    assert study.evaluate([lost]).empty
    assert study.store.get(lost.run_id)["status"] == "diverged"


def test_an_evaluation_is_named_by_what_it_asks(members):
    models = EnsembleSpec(members)
    first = EvaluationSpec(models=models, task="piqa")
    others = [
        dataclasses.replace(first, task="sciq"),
        dataclasses.replace(first, n_item=10),
        dataclasses.replace(first, files="0" * 16),
        dataclasses.replace(first, models=EnsembleSpec(members[::-1])),
    ]
    assert len({e.run_id for e in (first, *others)}) == 5
    assert first.to_dict()["task"] == "piqa" and first.to_dict()["wd"] == members[0].wd
    with pytest.raises(InputError, match="n_item = -1: must be a whole number of at least 0"):
        dataclasses.replace(first, n_item=-1)
    with pytest.raises(InputError, match="task = '': must be a name"):
        dataclasses.replace(first, task="")


def test_nothing_is_trained_for_a_question_that_cannot_be_asked(study, members, files):
    def evaluation(**fields):
        return EvaluationSpec(models=EnsembleSpec(members), **fields)

    name = fingerprint("piqa", files)
    bad = {
        "files = None: must be the folder with the local items of piqa": (None, name, 0),
        "holds items of piqa with fingerprint .*, not 0000000000000000": (files, "0" * 16, 0),
        "n_item = 3: task piqa has 2 items in its validation split": (files, name, 3),
    }
    for message, (folder, content, n_item) in bad.items():
        with pytest.raises(InputError, match=message):
            study.evaluate([evaluation(task="piqa", files=content, n_item=n_item)], files=folder)
    assert not any(study.store.records())
    with pytest.raises(InputError, match="1 of 1 runs for 'evaluating' are not recorded"):
        study.reading().evaluate([evaluation(task="continuation")])


def test_planning_an_evaluation_needs_neither_torch_nor_lm_eval():
    code = "import sys, ieee_lib.study; print({'torch', 'lm_eval', 'datasets'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


# The adapter, and lm-eval's own model


@pytest.fixture
def stack(corpus):
    from ieee_lib.evaluation.harness import StackLM

    subsets = singles_and_prefixes(2)
    return StackLM(differing([0, 1]), subsets, corpus.tokenizer)


def test_lm_eval_counts_as_we_do(stack, files):
    import lm_eval

    from ieee_lib.evaluation.harness import answer

    task = open_task("arc_easy", files=files)
    answers = answer(task, stack)
    assert answers["n_item"] == 2 and answers["n_choice"] == {"4": 1, "3": 1}
    for subset, (acc, acc_norm) in enumerate(zip(*answers["correct"].values(), strict=True)):
        theirs = lm_eval.evaluate(
            stack.answering(subset), {"tasks": {"arc_easy": task}}, bootstrap_iters=0
        )
        samples = theirs["samples"]["arc_easy"]
        assert "".join(str(int(s["acc"])) for s in samples) == acc
        assert "".join(str(int(s["acc_norm"])) for s in samples) == acc_norm


def test_one_pass_answers_for_every_subset(stack, files, monkeypatch):
    import ieee_lib.evaluation.harness as harness

    passes = []
    inner = harness.score_continuations
    monkeypatch.setattr(
        harness, "score_continuations", lambda *a, **o: passes.append(1) or inner(*a, **o)
    )
    for name in ("sciq", "piqa"):
        harness.answer(open_task(name, files=files), stack)
    assert len(passes) == 2


def test_only_choices_are_answered(stack):
    from lm_eval.api.instance import Instance

    for kind in ("generate_until", "loglikelihood_rolling"):
        request = Instance(kind, doc={}, arguments=("a", {}), idx=0, metadata=("gsm8k", 0, 1))
        with pytest.raises(
            InputError, match=f"'gsm8k': must be multiple-choice; it asks for {kind}"
        ):
            getattr(stack, kind)([request])


@pytest.fixture(scope="module")
def same_model(shared_data):
    """One small Llama with weights of a trained one's size, as ours and as transformers' own."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from ieee_lib.model.llama import to_llama

    texts = [(shared_data / name).read_text() for task in LOCAL.values() for name in task.names]
    tokenizer = train_bpe((line for text in texts for line in text.splitlines()), vocab_size=1024)
    config = ModelConfig(
        n_layer=3, n_head=4, n_kv_head=2, n_embd=64, n_mlp=96, vocab_size=1024, block_size=256
    )
    model = StackedDecoder(config, seeds=[0])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(1 if "norm" in name else 8)
    weights = {name: parameter[0].detach() for name, parameter in model.named_parameters()}
    fields, tensors = to_llama(config, weights)
    theirs = LlamaForCausalLM(LlamaConfig(**fields)).eval()
    theirs.load_state_dict(tensors)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    return model, tokenizer, theirs, wrapped


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.slow
def test_the_adapter_and_lm_evals_hf_model_agree(name, same_model, shared_data):
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    from ieee_lib.evaluation.harness import StackLM, answer
    from ieee_lib.evaluation.tasks import quiet

    model, tokenizer, theirs, wrapped = same_model
    task, n = open_task(name, files=shared_data), 200
    with quiet():
        # Its own float32 sums are good to 1.2e-4 only where they reach -2000 nats.
        hf = HFLM(theirs, tokenizer=wrapped, batch_size=8, softmax_dtype="float64")
        expected = lm_eval.evaluate(hf, {"tasks": {name: task}}, limit=n, bootstrap_iters=0)
        ours = StackLM(model, [(0,)], tokenizer)
        results = lm_eval.evaluate(ours, {"tasks": {name: task}}, limit=n, bootstrap_iters=0)
    samples = list(zip(results["samples"][name], expected["samples"][name], strict=True))
    assert len(samples) == n
    for mine, other in samples:
        assert mine["arguments"] == other["arguments"]
        log_p, likeliest = zip(*mine["filtered_resps"], strict=True)
        their_log_p, their_likeliest = zip(*other["filtered_resps"], strict=True)
        assert log_p == pytest.approx(their_log_p, abs=1e-4, rel=0)
        assert likeliest == their_likeliest
        assert (mine["acc"], mine["acc_norm"]) == (other["acc"], other["acc_norm"])
    assert ours.scores.n_truncated > 0 and ours.scores.n_cut == 0
    metrics = results["results"][name]
    assert metrics == expected["results"][name] and 0.1 < metrics["acc,none"] < 0.9
    batched = [
        answer(task, StackLM(model, [(0,)], tokenizer, batch_size=size), n_item=n)
        for size in (1, 7, 32)
    ]
    assert batched[0] == batched[1] == batched[2]
    assert np.mean([int(mark) for mark in batched[0]["correct"]["acc"][0]]) == metrics["acc,none"]
