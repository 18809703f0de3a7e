import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import study
from modularity_jax.nets.config import ModelConfig, TrainConfig
from modularity_jax.runs.config import SECTIONS, RunConfig, check_setting, differences, from_dict
from modularity_jax.runs.group_sizes import resolve
from modularity_jax.runs.sections import ClusterConfig
from modularity_jax.runs.workdir import create_workdir

# One value per field that differs from its default.
OTHER = {
    "data": {"name": "lines", "dir": "somewhere", "num_train": 500},
    "model": {
        "widths": [64, 32, 10], "name": "tests.plugs.model.ARCHITECTURE", "dropout_rate": 0.5,
        "wiring": "a -> b; b -> c", "weights": "0123",
    },
    "train": {
        "num_seeds": 3, "seed": 7, "epochs": 2, "batch_size": 32, "learning_rate": 0.01, "on_nan": "fail",
        "seeds_per_group": 3, "l1_penalty": 1e-5, "l2_penalty": 1e-4, "augment": True, "reshuffle": False,
        "recipe": "tests.plugs.recipe.RECIPE", "eigenvalue_weight": 0.2, "num_eigenvalues": 2, "eigenvalues_every": 5,
        "init_modules": 4, "init_outside": 0.5,
    },
    "prune": {"epochs": 1, "initial_sparsity": 0.1, "final_sparsity": 0.8, "frequency": 3},
    "cluster": {
        "phases": ["given"], "graphs": ["tests.plugs.graph.squares"],
        "measures": ["tests.plugs.measure.MEASURE"],
        "num_clusters": [2, 3], "methods": ["row"], "num_shuffles": 9, "num_restarts": 2,
        "selection": "ncut", "solver": "eigh", "refine": True, "shuffles_per_group": 4,
        "curve_epochs": [3, 5],
    },
    "lesion": {
        "phases": ["given"], "num_clusters": 3, "num_shuffles": 0, "joint": 1, "conditional": 2, "correction": "holm",
        "samples_per_batch": 7,
    },
    "activations": {
        "split": "test", "num_samples": 0, "before_relu": False, "norm": "l1", "correlation": "pearson",
        "cross_validated": True,
    },
    "specialisation": {
        "phases": ["given"], "graphs": ["activations_within"], "scopes": ["local"], "num_clusters": 3,
        "num_shuffles": 9, "first_shuffles": 4, "num_samples": 7, "num_top": 3,
    },
    "report": {"tensorboard": True},
}  # fmt: skip


def test_nothing_given_is_the_study():
    config = from_dict({})
    assert config == RunConfig()
    assert config.model.widths == (784, 256, 256, 256, 256, 10)
    assert (config.train.epochs, config.prune.epochs, config.train.batch_size) == (20, 20, 128)
    assert (config.prune.initial_sparsity, config.prune.final_sparsity, config.prune.frequency) == (0.5, 0.9, 10)
    assert (config.train.learning_rate, config.model.dropout_rate) == (1e-3, 0.0)


def test_every_field_is_taken_over():
    config = from_dict(OTHER)
    assert json.loads(json.dumps(config.to_dict())) == OTHER
    assert len(differences(config, RunConfig())) == sum(len(fields) for fields in OTHER.values()) - 1
    fields = {name: {field.name for field in dataclasses.fields(section)} for name, section in SECTIONS.items()}
    assert fields == {section: set(values) for section, values in OTHER.items()}


def test_round_trip_through_json():
    for config in (RunConfig(), from_dict(OTHER)):
        again = from_dict(json.loads(json.dumps(config.to_dict())))
        assert again == config
        assert isinstance(again.model.widths, tuple)
        assert isinstance(again.cluster.methods, tuple)
        assert hash(again.model) == hash(config.model)


def test_what_a_flag_gives_becomes_the_fields_type():
    config = from_dict(
        {"model": {"dropout_rate": 0, "widths": (5, 4)}, "cluster": {"methods": "row", "num_clusters": 3}}
    )
    assert isinstance(config.model.dropout_rate, float)
    assert config.model.widths == (5, 4)
    assert config.cluster.methods == ("row",)
    assert config.cluster.num_clusters == (3,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trian": {}}, "config has no field 'trian'; did you mean 'train'?"),
        (
            {"xyz": {}},
            "config has no field 'xyz'; known: data, model, train, prune, cluster, lesion, activations, "
            "specialisation, report",
        ),
        ({"lesion": {"joint": -1}}, "lesion.joint must be at least 0, got -1"),
        ({"lesion": {"num_clusters": 1}}, "lesion.num_clusters must be at least 2, got 1"),
        ({"lesion": {"phases": ["end"]}}, "lesion.phases must be one of init, unpruned, pruned, last, got 'end'"),
        ({"lesion": {"correction": "none"}}, "lesion.correction must be one of max_t, holm, got 'none'"),
        ({"train": {"num_seed": 3}}, "config.train has no field 'num_seed'; did you mean 'num_seeds'?"),
        (
            {"prune": {"xyz": 3}},
            "config.prune has no field 'xyz'; known: epochs, initial_sparsity, final_sparsity, frequency",
        ),
        ({"train": 3}, "config.train must be a section with fields, got 3"),
        ({"train": {"epochs": "many"}}, "train.epochs must be of type int, got 'many'"),
        ({"train": {"epochs": 2.5}}, "train.epochs must be of type int, got 2.5"),
        ({"train": {"epochs": True}}, "train.epochs must be of type int, got True"),
        ({"train": {"epochs": None}}, "train.epochs must be of type int, got None"),
        ({"train": {"learning_rate": "fast"}}, "train.learning_rate must be of type float, got 'fast'"),
        ({"train": {"learning_rate": True}}, "train.learning_rate must be of type float, got True"),
        ({"train": {"reshuffle": 0}}, "train.reshuffle must be of type bool, got 0"),
        ({"data": {"name": 3}}, "data.name must be of type str, got 3"),
        ({"model": {"widths": [784, "wide"]}}, "model.widths must be of type int, got 'wide'"),
        ({"cluster": {"methods": ["row", 3]}}, "cluster.methods must be of type str, got 3"),
    ],
)
def test_unknown_names_and_wrong_types(values, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        from_dict(values)
    assert str(caught.value) == message


FLOAT32 = "must be 0 or a number that float32 holds, 1.18e-38 to 3.4e+38"
KNOWN_METHODS = (
    "layer, layer_nonzero, row, column, layer_nonzero_distribution, layer_all_distribution, degrees, strengths, "
    "edges, samples"
)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("data", {"num_train": -1}, "data.num_train must be at least 0, got -1"),
        ("model", {"widths": []}, "model.widths must be at least two layers of at least one neuron, got ()"),
        ("model", {"widths": [7]}, "model.widths must be at least two layers of at least one neuron, got (7,)"),
        (
            "model",
            {"widths": [7, 0, 3]},
            "model.widths must be at least two layers of at least one neuron, got (7, 0, 3)",
        ),
        ("model", {"dropout_rate": 1.0}, "model.dropout_rate must be at least 0 and below 1, got 1.0"),
        ("model", {"dropout_rate": -0.1}, "model.dropout_rate must be at least 0 and below 1, got -0.1"),
        ("model", {"dropout_rate": float("nan")}, "model.dropout_rate must be at least 0 and below 1, got nan"),
        ("train", {"num_seeds": 0}, "train.num_seeds must be at least 1, got 0"),
        ("train", {"seed": -1}, "train.seed must be at least 0, got -1"),
        ("train", {"epochs": -1}, "train.epochs must be at least 0, got -1"),
        ("train", {"batch_size": 0}, "train.batch_size must be at least 1, got 0"),
        ("train", {"learning_rate": 0}, "train.learning_rate must be above 0, got 0.0"),
        ("train", {"learning_rate": float("nan")}, "train.learning_rate must be above 0, got nan"),
        ("train", {"learning_rate": float("inf")}, f"train.learning_rate {FLOAT32}, got inf"),
        ("train", {"learning_rate": 1e39}, f"train.learning_rate {FLOAT32}, got 1e+39"),
        ("train", {"learning_rate": 1e-39}, f"train.learning_rate {FLOAT32}, got 1e-39"),
        ("train", {"l1_penalty": -1}, f"train.l1_penalty {FLOAT32}, got -1.0"),
        ("train", {"l2_penalty": float("nan")}, f"train.l2_penalty {FLOAT32}, got nan"),
        ("train", {"l2_penalty": float("inf")}, f"train.l2_penalty {FLOAT32}, got inf"),
        ("train", {"l1_penalty": 1e-300}, f"train.l1_penalty {FLOAT32}, got 1e-300"),
        ("train", {"seed": 2**63}, f"train.seed must be at most {2**32 - 1}, got {2**63}"),
        ("train", {"seed": 2**32}, f"train.seed must be at most {2**32 - 1}, got {2**32}"),
        ("train", {"num_seeds": 2**32}, f"train.num_seeds must be at most 100000, got {2**32}"),
        ("model", {"widths": [7] * 102}, "model.widths must be at most 101 layers, got 102"),
        (
            "model",
            {"widths": [2**16, 2**15, 1]},
            f"model.widths must give at most {2**31 - 1} weights, got (65536, 32768, 1) with {2**31 + 2**15}",
        ),
        ("prune", {"initial_sparsity": float("nan")}, "prune.initial_sparsity must be at least 0 and below 1, got nan"),
        ("prune", {"final_sparsity": float("nan")}, "prune.final_sparsity must be at least 0.5 and below 1, got nan"),
        ("train", {"seeds_per_group": -1}, "train.seeds_per_group must be at least 0, got -1"),
        ("prune", {"epochs": -1}, "prune.epochs must be at least 0, got -1"),
        ("prune", {"frequency": 0}, "prune.frequency must be at least 1, got 0"),
        ("prune", {"initial_sparsity": 1.0}, "prune.initial_sparsity must be at least 0 and below 1, got 1.0"),
        ("prune", {"initial_sparsity": -0.5}, "prune.initial_sparsity must be at least 0 and below 1, got -0.5"),
        ("prune", {"final_sparsity": 0.4}, "prune.final_sparsity must be at least 0.5 and below 1, got 0.4"),
        ("prune", {"final_sparsity": 1.0}, "prune.final_sparsity must be at least 0.5 and below 1, got 1.0"),
        ("cluster", {"num_shuffles": 0}, "cluster.num_shuffles must be at least 1, got 0"),
        ("cluster", {"num_restarts": 0}, "cluster.num_restarts must be at least 1, got 0"),
        ("cluster", {"shuffles_per_group": -1}, "cluster.shuffles_per_group must be at least 0, got -1"),
        ("cluster", {"num_clusters": [4, 1]}, "cluster.num_clusters must be at least 2, got 1"),
        ("cluster", {"num_clusters": []}, "cluster.num_clusters must hold at least one entry, got none"),
        ("cluster", {"methods": []}, "cluster.methods must hold at least one entry, got none"),
        ("cluster", {"phases": []}, "cluster.phases must hold at least one entry, got none"),
        ("cluster", {"phases": ["late"]}, "cluster.phases must be one of init, unpruned, pruned, all, got 'late'"),
        ("cluster", {"methods": ["rows"]}, f"cluster.methods must be one of {KNOWN_METHODS}, got 'rows'"),
        ("cluster", {"selection": "best"}, "cluster.selection must be one of ncut, inertia, got 'best'"),
        ("cluster", {"solver": "lu"}, "cluster.solver must be one of auto, eigh, krylov, got 'lu'"),
    ],
)
def test_out_of_range(section, values, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        from_dict({section: values})
    assert str(caught.value) == message


def numbers():
    """Every field that holds numbers, as section, field and whether it holds several, and its default's kind."""
    for name, section in SECTIONS.items():
        for field in dataclasses.fields(section):
            several = isinstance(field.default, tuple)
            kind = type((field.default or (0,))[0]) if several else type(field.default)
            if kind in (int, float):
                yield pytest.param(name, field.name, several, kind, id=f"{name}.{field.name}")


@pytest.mark.parametrize(("section", "field", "several", "kind"), list(numbers()))
def test_no_number_is_too_large_to_be_refused_in_one_line(section, field, several, kind):
    """What the device, a file's name or float32 could not hold."""
    for value in (-(10**30), 10**400, *([float("inf"), float("nan")] if kind is float else [10**30, 2**63, 2**32])):
        with pytest.raises(ValueError, match=rf"^{section}\.{field} must ") as caught:
            from_dict({section: {field: [3, value] if several else value}})
        assert "\n" not in str(caught.value)


def test_every_accepted_seed_is_a_run_of_its_own():
    """JAX takes the lower 32 bits of a seed, with x64 the lower 64."""
    seeds = (0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
    for x64 in (False, True):
        with jax.enable_x64(x64):
            keys = [jax.random.key_data(jax.random.key(from_dict({"train": {"seed": s}}).train.seed)) for s in seeds]
        assert len({np.asarray(key).tobytes() for key in keys}) == len(seeds)


def test_an_entry_given_twice_is_asked_for_once():
    cluster = {
        "num_clusters": (4, 3, 4), "methods": ["row", "row"], "phases": ["pruned", "init", "pruned"],
        "curve_epochs": [5, 1, 5],
    }  # fmt: skip
    config = from_dict({"cluster": cluster, "lesion": {"phases": ["init", "init"]}, "model": {"widths": [5, 5, 5]}})
    found = config.cluster
    assert (found.num_clusters, found.methods, found.phases) == ((4, 3), ("row",), ("pruned", "init"))
    assert found.curve_epochs == (5, 1)
    assert config.lesion.phases == ("init",)
    assert config.model.widths == (5, 5, 5)
    assert dataclasses.replace(found, num_clusters=(2, 2)).num_clusters == (2,)


def spellings(value):
    """A value as NumPy, JAX, pathlib and flags make it."""
    if isinstance(value, list):
        yield from (tuple(value), np.array(value))
        yield jnp.array(value) if isinstance(value[0], int) else value
        yield [next(spellings(entry)) for entry in value]
    elif isinstance(value, bool):
        yield from (np.bool_(value), np.array(value), jnp.bool_(value))
    elif isinstance(value, int):
        yield from (np.int64(value), np.uint16(value), np.array(value), jnp.int32(value))
    elif isinstance(value, float):
        yield from (np.float64(value), np.float32(value), np.array(value, np.float32), jnp.float32(value))
    else:
        yield from (np.str_(value), np.array(value))


@pytest.mark.parametrize("way", range(4))
def test_values_as_numpy_and_jax_make_them(way, tmp_path):
    """config.json is the same, byte for byte, whatever the settings were made of."""
    made = {
        section: {name: ([*spellings(value)] * 2)[way] if value != [] else value for name, value in values.items()}
        for section, values in OTHER.items()
    }
    assert from_dict(made) == from_dict(OTHER)
    for name, config in (("a", from_dict(made)), ("b", from_dict(OTHER))):
        create_workdir(tmp_path / name, config, "a command")
    assert (tmp_path / "a" / "config.json").read_bytes() == (tmp_path / "b" / "config.json").read_bytes()


def test_a_config_that_was_not_read_is_made_plain_where_it_is_written(tmp_path):
    config = RunConfig(model=ModelConfig(np.array([64, 8, 10])), train=TrainConfig(seed=np.int64(3)))
    workdir = create_workdir(tmp_path, config, "a command")
    assert workdir.config == resolve(from_dict({"model": {"widths": [64, 8, 10]}, "train": {"seed": 3}}))
    assert type(workdir.config.train.seed) is int


def test_more_spellings():
    config = from_dict(
        {
            "data": {"dir": pathlib.Path("some") / "where"},
            "train": {"learning_rate": np.int64(1), "l1_penalty": jnp.bfloat16(0.5)},
            "cluster": {"num_clusters": range(2, 5), "curve_epochs": np.array(3)},
            "model": {"widths": (np.int8(5), np.array(4))},
        }
    )
    assert (config.data.dir, config.train.learning_rate, config.train.l1_penalty) == ("some/where", 1.0, 0.5)
    assert (config.cluster.num_clusters, config.cluster.curve_epochs) == ((2, 3, 4), (3,))
    assert from_dict({"data": {"dir": None}}).data.dir == ""
    json.dumps(config.to_dict())


@pytest.mark.parametrize(
    ("section", "field", "value", "message"),
    [
        ("train", "epochs", np.float64(10), "train.epochs must be of type int, got 10.0; write 10"),
        ("train", "epochs", 1e3, "train.epochs must be of type int, got 1000.0; write 1000"),
        ("train", "epochs", np.float32(2.5), "train.epochs must be of type int, got 2.5"),
        ("train", "epochs", np.bool_(True), "train.epochs must be of type int, got True"),
        ("train", "epochs", np.array([3]), "train.epochs must be of type int, got array([3])"),
        ("train", "learning_rate", np.str_("fast"), "train.learning_rate must be of type float, got 'fast'"),
        ("model", "widths", np.array([[64, 10]]), "model.widths must be of type int, got array([64, 10])"),
        ("model", "widths", {64, 10}, "model.widths must be of type int, got {64, 10}"),
        ("data", "name", None, "data.name must be of type str, got None"),
        ("data", "dir", b"here", "data.dir must be of type str, got b'here'"),
        ("train", "reshuffle", np.int64(1), "train.reshuffle must be of type bool, got 1"),
    ],
)
def test_what_is_no_plain_value_of_the_type(section, field, value, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        from_dict({section: {field: value}})
    assert str(caught.value) == message


def test_a_config_file_of_ones_own_may_set_what_numpy_made():
    config = study.get_config("", {"train.epochs": np.int64(3), "model.widths": np.array([64, 8, 10])})
    config.data.dir = pathlib.Path("here")
    config.train.seed = np.uint32(7)
    made = from_dict(config.to_dict())
    assert (made.train.epochs, made.model.widths, made.data.dir, made.train.seed) == (3, (64, 8, 10), "here", 7)


def test_the_edges_of_the_ranges_are_fine():
    config = from_dict(
        {
            "model": {"widths": [1, 1], "dropout_rate": 0.0},
            "train": {"num_seeds": 1, "seed": 0, "epochs": 0, "batch_size": 1, "seeds_per_group": 1},
            "prune": {"epochs": 0, "frequency": 1, "initial_sparsity": 0.0, "final_sparsity": 0.0},
            "cluster": {"num_shuffles": 1, "num_restarts": 1, "shuffles_per_group": 1, "num_clusters": [2]},
        }
    )
    assert config.phases == ("init",)


@pytest.mark.parametrize(
    ("epochs", "prune_epochs", "phases"),
    [(1, 1, ("init", "unpruned", "pruned")), (0, 1, ("init", "pruned")), (1, 0, ("init", "unpruned"))],
)
def test_phases(epochs, prune_epochs, phases):
    assert from_dict({"train": {"epochs": epochs}, "prune": {"epochs": prune_epochs}}).phases == phases


def test_differences_name_the_fields_and_both_values():
    one = from_dict({})
    other = from_dict({"train": {"num_seeds": 4}, "cluster": {"methods": ["row"]}})
    assert differences(one, one) == []
    assert differences(one, from_dict({"report": {"tensorboard": True}})) == []
    assert differences(one, other) == [
        "train.num_seeds: 10 and 4",
        f"cluster.methods: {ClusterConfig().methods} and ('row',)",
    ]


def test_names_of_settings():
    for section, fields in OTHER.items():
        check_setting(section)
        for field in fields:
            check_setting(f"{section}.{field}")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trian.epochs", "config has no field 'trian'; did you mean 'train'?"),
        ("train.epoch", "config.train has no field 'epoch'; did you mean 'epochs'?"),
        ("train.epochs.more", "config.train has no field 'epochs.more'; did you mean 'epochs'?"),
    ],
)
def test_unknown_names_of_settings(path, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_setting(path)
    assert str(caught.value) == message


def test_auto_is_another_word_for_0():
    values = {"train": {"seeds_per_group": "auto"}, "lesion": {"samples_per_batch": "auto"}}
    made = from_dict(values | {"cluster": {"shuffles_per_group": "auto"}})
    assert (made.train.seeds_per_group, made.cluster.shuffles_per_group, made.lesion.samples_per_batch) == (0, 0, 0)
    with pytest.raises(ValueError, match=r"train\.num_seeds must be of type int, got 'auto'"):
        from_dict({"train": {"num_seeds": "auto"}})
