"""Forward passes of all lesions on some samples, each computing no more than its lesion changes.

Activations below a damaged layer are shared by all lesions of it. The next layer's pre-activations are the undamaged
ones less what the silent units contribute; the sub-modules of a trial partition the layer, so all of them together
cost one product. Only the layers above run once a lesion. Layers are few, and loops over them unrolled; sub-modules
and trials are loops whose lengths are values, so that one program serves all networks of a shape. Small products in a
row would leave an accelerator idle, so there the innermost loop over sub-modules is one batch of products instead.

Every pass fills `out`, given as zeros, with sums [C] of an example-wise metric over the samples of each class.
"""

import functools
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
Lesions = Callable[["_Pass", "_Site", Array], Array]  # of one hidden layer, to `out` with their sums


class Plan(NamedTuple):
    """What all passes of a network share."""

    layers: tuple[Layer, ...]  # L
    parts: tuple[Parts, ...]  # of the L - 1 hidden layers
    observed: tuple[Array, ...]  # [d_l + BLOCK] of the hidden layers, units in the order of the sub-modules as found
    trials: tuple[Orders, ...]  # of the hidden layers, T trials
    num_trials: Array  # [] int32, of the T that count


class _Pass(NamedTuple):
    """One batch's way through a network."""

    plan: Plan
    score: Score

    def sums(self, hidden: int, damaged: Array) -> Array:
        """Sums [C], of the pre-activations after a hidden layer with some of its units silent."""
        return self.score(finish(self.plan.layers[hidden + 2 :], damaged))


class _Site(NamedTuple):
    """A hidden layer, where some units are to be silenced."""

    hidden: int
    activations: Array  # [d, B], of the layer
    full: Array  # [d_next, B], the next layer's pre-activations with all its units


def run_pass(lesions: Lesions, plan: Plan, x: Array, score: Score, out: Array) -> tuple[Array, Array]:
    """Undamaged sums [C], and out with the lesions of every hidden layer; samples x [d_0, B]."""
    sites, logits = _climb(plan, 0, plan.layers[0](x))
    for site in sites:
        out = lesions(_Pass(plan, score), site, out)
    return score(logits), out


def single(own: _Pass, site: _Site, out: Array) -> Array:
    """Out [T, M, C] with one sub-module damaged."""

    def trial(t: Array, out: Array) -> Array:
        return _record(own, site, own.plan.trials[site.hidden].whole[t], lambda number: (t, number), out)

    return jax.lax.fori_loop(0, own.plan.num_trials, trial, out)


def joint(own: _Pass, site: _Site, out: Array) -> Array:
    """Out [T, M, M, C] with sub-modules a <= b damaged at [t, a, b], all layers permuted."""

    def trial(t: Array, out: Array) -> Array:
        kept = jnp.zeros((own.plan.parts[site.hidden].sizes.size, *site.full.shape), site.full.dtype)
        order, first = own.plan.trials[site.hidden].whole[t], functools.partial(_joint_with, own, site, t)
        return _over_parts(own.plan, site, order, first, (out, kept))[0]

    return jax.lax.fori_loop(0, own.plan.num_trials, trial, out)


def conditional(own: _Pass, site: _Site, out: Array) -> Array:
    """Out [T, M, M, C] with a and b damaged at [t, a, b]; b stays, a's layer is permuted. Where a is b, it alone."""
    plan = own.plan

    def trial(t: Array, out: Array) -> Array:
        def moved(part: Array, damaged: Array, out: Array) -> Array:
            number = plan.parts[site.hidden].first + part
            for above in _climb(plan, site.hidden + 1, damaged)[0]:
                out = _record(own, above, plan.observed[above.hidden], lambda b: (t, number, b), out)
            return out

        return _over_parts(plan, site, plan.trials[site.hidden].whole[t], moved, out)

    out = _over_parts(plan, site, plan.observed[site.hidden], functools.partial(_conditional_on, own, site), out)
    return jax.lax.fori_loop(0, plan.num_trials, trial, out)


PASSES = {"single": single, "joint": joint, "conditional": conditional}


def _joint_with(
    own: _Pass, site: _Site, t: Array, part: Array, damaged: Array, state: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Sums of all pairs of one sub-module with itself, with those above it, and with those before it in its layer.

    The state is `out` and the pre-activations without each of the layer's sub-modules so far, [K, d_next, B].
    """
    (out, kept), plan, parts = state, own.plan, own.plan.parts[site.hidden]
    number = parts.first + part
    sites, logits = _climb(plan, site.hidden + 1, damaged)
    out = out.at[t, number, number].set(own.score(logits))
    for above in sites:
        out = _record(own, above, plan.trials[above.hidden].whole[t], lambda b: (t, number, b), out)

    def beside(other: Array) -> Array:
        return own.sums(site.hidden, damaged + kept[other] - site.full)

    out = _fill(parts, part, beside, lambda before: (t, before, number), out)
    return out, kept.at[part].set(damaged)


def _conditional_on(own: _Pass, site: _Site, part: Array, damaged: Array, out: Array) -> Array:
    """Sums of all sub-modules of the same layer and of those above, permuted, where one stays damaged as found."""
    number = own.plan.parts[site.hidden].first + part
    sites, _ = _climb(own.plan, site.hidden + 1, damaged)

    def trial(t: Array, out: Array) -> Array:
        rest = own.plan.trials[site.hidden].rest[t, part]
        out = _record(own, site._replace(full=damaged), rest, lambda a: (t, a, number), out, left_out=part)
        for above in sites:
            out = _record(own, above, own.plan.trials[above.hidden].whole[t], lambda a: (t, a, number), out)
        return out

    return jax.lax.fori_loop(0, own.plan.num_trials, trial, out)


def _climb(plan: Plan, hidden: int, pre_activations: Array) -> tuple[list[_Site], Array]:
    """The sites from a hidden layer up, given its pre-activations, and the logits [C, B]."""
    sites = []
    for above in range(hidden, len(plan.parts)):
        activations = jax.nn.relu(pre_activations)
        pre_activations = plan.layers[above + 1](activations)
        sites.append(_Site(above, activations, pre_activations))
    return sites, pre_activations


def _over_parts(plan: Plan, site: _Site, order: Array, each: Callable[[Array, Array, T], T], out: T) -> T:
    """Run out = each(part, damaged pre-activations, out) over a layer's sub-modules."""
    layer, parts = plan.layers[site.hidden + 1], plan.parts[site.hidden]

    def lesion(part: Array, out: T) -> T:
        damaged = without(layer, site.activations, site.full, order, parts.starts[part], parts.sizes[part])
        return each(part, damaged, out)

    result: T = jax.lax.fori_loop(0, parts.present, lesion, out)
    return result


def _record(own: _Pass, site: _Site, order: Array, place: Place, out: Array, *, left_out: Array | None = None) -> Array:
    """Put where `place` says the sums with each of a layer's sub-modules damaged; one left out silences nothing."""
    layer, parts = own.plan.layers[site.hidden + 1], own.plan.parts[site.hidden]
    starts, sizes = parts.starts, parts.sizes
    if left_out is not None:
        index = jnp.arange(sizes.size, dtype=jnp.int32)
        starts = jnp.where(index > left_out, starts - sizes[left_out], starts)
        sizes = jnp.where(index == left_out, 0, sizes)
    silence = without if on_cpu() else without_masked

    def lesion(part: Array) -> Array:
        return own.sums(site.hidden, silence(layer, site.activations, site.full, order, starts[part], sizes[part]))

    return _fill(parts, parts.present, lesion, place, out)


def _fill(parts: Parts, count: Array, lesion: Callable[[Array], Array], place: Place, out: Array) -> Array:
    """Put lesion(part) of the first `count` of a layer's parts where `place` says of their numbers."""
    if on_cpu():
        return jax.lax.fori_loop(0, count, lambda part, out: out.at[place(parts.first + part)].set(lesion(part)), out)
    index = jnp.arange(parts.sizes.size, dtype=jnp.int32)
    numbers = jnp.where(index < count, parts.first + index, out.shape[1])  # beyond the last, which drops the sums
    return out.at[place(numbers)].set(jax.vmap(lesion)(index), mode="drop")
