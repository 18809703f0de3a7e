"""Forward passes of all lesions on some samples, each computing no more than its lesion changes.

Activations below a damaged layer are shared by all lesions of it. The next layer's pre-activations are the undamaged
ones less what the silent units contribute; the sub-modules of a trial partition the layer, so all of them together
cost one product. Only the layers above run once a lesion. Layers are few, and loops over them unrolled; sub-modules
and trials are loops whose lengths are values, so that one program serves all networks of a shape. Small products in a
row would leave an accelerator idle, so there the innermost loop over sub-modules is one batch of products instead.

Every pass fills `out`, given as zeros, with sums [C] of an example-wise metric over the samples of each class.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from modularity_jax.metric.group_sizes import on_cpu
from modularity_jax.probes.network import Layer, finish, without, without_masked
from modularity_jax.probes.submodules import Orders, Parts

Array = jax.Array
T = TypeVar("T")
Score = Callable[[Array], Array]  # logits [C, B] to sums [C]
Place = Callable[[Array], tuple[Array, ...]]  # numbers of sub-modules, one or [K], to an index into `out`


class Plan(NamedTuple):
    """What all passes of a network share."""

    layers: tuple[Layer, ...]  # L
    parts: tuple[Parts, ...]  # of the L - 1 hidden layers
    observed: tuple[Array, ...]  # [d_l + BLOCK] of the hidden layers, units in the order of the sub-modules as found
    trials: tuple[Orders, ...]  # of the hidden layers, T trials
    num_trials: Array  # [] int32, of the T that count


class _Site(NamedTuple):
    """A hidden layer, where some units are to be silenced."""

    activations: Array  # [d, B], of the layer
    full: Array  # [d_next, B], the next layer's pre-activations with all its units


def single_pass(plan: Plan, x: Array, score: Score, out: Array) -> tuple[Array, Array]:
    """Undamaged sums [C], and out [T, M, C] with one sub-module damaged; samples x [d_0, B]."""
    sites, logits = _climb(plan, 0, plan.layers[0](x))
    for hidden, site in enumerate(sites):

        def trial(t: Array, out: Array, hidden: int = hidden, site: _Site = site) -> Array:
            return _record(plan, hidden, site, plan.trials[hidden].whole[t], lambda number: (t, number), score, out)

        out = jax.lax.fori_loop(0, plan.num_trials, trial, out)
    return score(logits), out


def joint_pass(plan: Plan, x: Array, score: Score, out: Array) -> tuple[Array, Array]:
    """Undamaged sums [C], and out [T, M, M, C] with sub-modules a <= b damaged at [t, a, b], all layers permuted."""
    sites, logits = _climb(plan, 0, plan.layers[0](x))
    for hidden, site in enumerate(sites):

        def trial(t: Array, out: Array, hidden: int = hidden, site: _Site = site) -> Array:
            def first(part: Array, damaged: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
                return _joint_with(plan, hidden, site, t, part, damaged, score, *state)

            kept = jnp.zeros((plan.parts[hidden].sizes.size, *site.full.shape), site.full.dtype)
            return _over_parts(plan, hidden, site, plan.trials[hidden].whole[t], first, (out, kept))[0]

        out = jax.lax.fori_loop(0, plan.num_trials, trial, out)
    return score(logits), out


def conditional_pass(plan: Plan, x: Array, score: Score, out: Array) -> tuple[Array, Array]:
    """Undamaged sums [C], and out [T, M, M, C] with a and b damaged at [t, a, b]; b stays, a's layer is permuted.

    Where a is b, it alone is damaged.
    """
    sites, logits = _climb(plan, 0, plan.layers[0](x))
    for hidden, site in enumerate(sites):

        def given(part: Array, damaged: Array, out: Array, hidden: int = hidden, site: _Site = site) -> Array:
            return _conditional_on(plan, hidden, site, part, damaged, score, out)

        def trial(t: Array, out: Array, hidden: int = hidden, site: _Site = site) -> Array:
            def moved(part: Array, damaged: Array, out: Array) -> Array:
                number = plan.parts[hidden].first + part
                for above, deeper in enumerate(_climb(plan, hidden + 1, damaged)[0], start=hidden + 1):
                    out = _record(plan, above, deeper, plan.observed[above], lambda b: (t, number, b), score, out)
                return out

            return _over_parts(plan, hidden, site, plan.trials[hidden].whole[t], moved, out)

        out = _over_parts(plan, hidden, site, plan.observed[hidden], given, out)
        out = jax.lax.fori_loop(0, plan.num_trials, trial, out)
    return score(logits), out


def _joint_with(
    plan: Plan, hidden: int, site: _Site, t: Array, part: Array, damaged: Array, score: Score, out: Array, kept: Array
) -> tuple[Array, Array]:
    """Sums of all pairs of one sub-module with itself, with those above it, and with those before it in its layer."""
    number = plan.parts[hidden].first + part
    above, logits = _climb(plan, hidden + 1, damaged)
    out = out.at[t, number, number].set(score(logits))
    for layer, deeper in enumerate(above, start=hidden + 1):
        out = _record(plan, layer, deeper, plan.trials[layer].whole[t], lambda b: (t, number, b), score, out)

    def beside(other: Array) -> Array:
        return score(finish(plan.layers[hidden + 2 :], damaged + kept[other] - site.full))

    def place(number_before: Array) -> tuple[Array, ...]:
        return t, number_before, number

    out = _fill(part, kept.shape[0], plan.parts[hidden].first, beside, place, out)
    return out, kept.at[part].set(damaged)


def _conditional_on(
    plan: Plan, hidden: int, site: _Site, part: Array, damaged: Array, score: Score, out: Array
) -> Array:
    """Sums of all sub-modules of the same layer and of those above, permuted, where one stays damaged as found."""
    number = plan.parts[hidden].first + part
    above, _ = _climb(plan, hidden + 1, damaged)

    def trial(t: Array, out: Array) -> Array:
        def place(other: Array) -> tuple[Array, ...]:
            return t, other, number

        rest, order = _Site(site.activations, damaged), plan.trials[hidden].rest[t, part]
        out = _record(plan, hidden, rest, order, place, score, out, left_out=part)
        for layer, deeper in enumerate(above, start=hidden + 1):
            out = _record(plan, layer, deeper, plan.trials[layer].whole[t], place, score, out)
        return out

    return jax.lax.fori_loop(0, plan.num_trials, trial, out)


def _climb(plan: Plan, hidden: int, pre_activations: Array) -> tuple[list[_Site], Array]:
    """The sites from a hidden layer up, given its pre-activations, and the logits [C, B]."""
    sites = []
    for layer in plan.layers[hidden + 1 :]:
        activations = jax.nn.relu(pre_activations)
        pre_activations = layer(activations)
        sites.append(_Site(activations, pre_activations))
    return sites, pre_activations


def _over_parts(plan: Plan, hidden: int, site: _Site, order: Array, each: Callable[[Array, Array, T], T], out: T) -> T:
    """Run out = each(part, damaged pre-activations, out) over a layer's sub-modules."""
    parts = plan.parts[hidden]

    def lesion(part: Array, out: T) -> T:
        damaged = without(plan.layers[hidden + 1], *site, order, parts.starts[part], parts.sizes[part])
        return each(part, damaged, out)

    result: T = jax.lax.fori_loop(0, parts.present, lesion, out)
    return result


def _record(
    plan: Plan,
    hidden: int,
    site: _Site,
    order: Array,
    place: Place,
    score: Score,
    out: Array,
    *,
    left_out: Array | None = None,
) -> Array:
    """Put where `place` says the sums with each of a layer's sub-modules damaged; one left out silences nothing."""
    parts = plan.parts[hidden]
    starts, sizes = parts.starts, parts.sizes
    if left_out is not None:
        index = jnp.arange(sizes.size, dtype=jnp.int32)
        starts = jnp.where(index > left_out, starts - sizes[left_out], starts)
        sizes = jnp.where(index == left_out, 0, sizes)
    silence = without if on_cpu() else without_masked

    def lesion(part: Array) -> Array:
        damaged = silence(plan.layers[hidden + 1], *site, order, starts[part], sizes[part])
        return score(finish(plan.layers[hidden + 2 :], damaged))

    return _fill(parts.present, sizes.size, parts.first, lesion, place, out)


def _fill(count: Array, most: int, first: Array, lesion: Callable[[Array], Array], place: Place, out: Array) -> Array:
    """Put lesion(part) of `count` of at most `most` parts, whose numbers begin at `first`, where `place` says."""
    if on_cpu():
        return jax.lax.fori_loop(0, count, lambda part, out: out.at[place(first + part)].set(lesion(part)), out)
    index = jnp.arange(most, dtype=jnp.int32)
    numbers = jnp.where(index < count, first + index, out.shape[1])  # beyond the last, which drops the sums
    return out.at[place(numbers)].set(jax.vmap(lesion)(index), mode="drop")
