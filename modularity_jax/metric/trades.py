"""Trades: new places for a graph's weights, of which every vertex keeps as many on either side of each block.

Two weights at (i, j) and (k, l) trade their columns where (i, l) and (k, j) hold none, which leaves all four numbers as
they are. A random walk of such trades visits all places with these numbers equally often (Rao, Jana and Bandyopadhyay
1996), or with the odds that a model gives, where a trade is made with Metropolis's probability.

A round pairs all weights of a block: the weights in order are mirrored about a random one. The pairs trade at once; one
that would touch a cell which another touches does not, and the same holds for the way back, so that a round is as
likely as its reverse.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.metric.permutation import hash32
from modularity_jax.metric.strengths import log_odds

Array = Any  # NumPy's or JAX's

# On 256 x 256 places, 90% empty, 16 rounds leave .355 of the weights where they were and 96 leave .352.
NUM_ROUNDS = 16
# Blocks of a handful of weights, where most pairs stand in each other's way, have more: so many over all places.
NUM_EXTRA = 2**12
# Pairs of one turn of a loop at most; all are of one block.
PAIRS_AT_ONCE = 2**10

# How often a cell is touched: once by the weight in it, and by each that would come.
_HELD, _ASKED = 1, 2
# Odds are looked up: the logarithm of a scale has so many steps to a unit, and so many units on each side of 0.
_STEPS, _UNITS = 128, 8


class Trades(NamedTuple):
    """Where the values of a stock stand. Columns are numbered through all blocks, and so are cells."""

    column: Array  # [C] int32, of each value
    row_start: Array  # [C] int32, what a column's number is added to for its cell in the value's row
    places: Array  # [E] int32, of each cell in the control's weights
    effects: Any = None  # of each value's row [C] and of columns on the odds of a place; None where all are as likely


class _Pairs(NamedTuple):
    """Pairs of values [P] and the cells that they hold and ask for."""

    values: tuple[Array, Array]  # C for none
    columns: tuple[Array, Array]
    held: tuple[Array, Array]  # E for none
    asked: tuple[Array, Array]


def traded_places(trades: Trades, num_values: Array, key: jax.Array) -> Array:
    """The new place of each value, [C] int32; arbitrary beyond the last.

    Args:
      trades: of C values.
      num_values: [blocks] int32.
      key: typed PRNG key, consumed.
    """
    about_key, coin_key = jax.random.split(key)
    num_rounds = NUM_ROUNDS + NUM_EXTRA // trades.column.size
    about = jax.random.randint(about_key, (num_rounds, num_values.size), 0, num_values[None] | 1, jnp.int32)
    coins = jax.random.bits(coin_key, (num_rounds,), jnp.uint32)
    at_once = min(PAIRS_AT_ONCE, trades.column.size // 2 + 1)
    turns = num_values // (2 * at_once) + 1
    ends, starts = jnp.cumsum(turns, dtype=jnp.int32), jnp.cumsum(num_values, dtype=jnp.int32) - num_values
    odds = None if trades.effects is None else _odds(trades.effects)

    def next_round(index: Array, columns: Array) -> Array:
        def pairs(turn: Array) -> _Pairs:
            block = jnp.searchsorted(ends[:-1], turn, side="right", method="compare_all")
            offset = (turn - ends[block] + turns[block]) * at_once + jnp.arange(at_once, dtype=jnp.int32)
            return _paired(trades, columns, starts[block], num_values[block], about[index, block], offset)

        def touch(turn: Array, touched: Array) -> Array:
            made = pairs(turn)
            touched = touched.at[jnp.concatenate(made.held)].add(_HELD)
            return touched.at[jnp.concatenate(made.asked)].add(_ASKED)

        def trade(turn: Array, traded: Array) -> Array:
            made = pairs(turn)
            ready = _ready(touched, made)
            if odds is not None:
                ready &= _drawn(odds, made, coins[index] + turn.astype(jnp.uint32))
            taken = [jnp.where(ready, made.columns[1 - i], made.columns[i]) for i in (0, 1)]
            return traded.at[jnp.concatenate(made.values)].set(jnp.concatenate(taken))

        untouched = jnp.zeros(trades.places.size + 1, jnp.int32)
        touched = jax.lax.fori_loop(0, ends[-1], touch, untouched)
        return jax.lax.fori_loop(0, ends[-1], trade, columns)

    columns = jax.lax.fori_loop(0, num_rounds, next_round, jnp.append(trades.column, 0))[:-1]
    return trades.places[jnp.clip(trades.row_start + columns, 0, trades.places.size - 1)]


def _paired(trades: Trades, columns: Array, start: Array, size: Array, about: Array, offset: Array) -> _Pairs:
    """Pairs of a block's values, mirrored about one of them.

    Its length is made odd, so that any two can meet; so one meets itself, and where the size is even one meets none.
    """
    length, after, before = size | 1, about + offset, about - 1 - offset
    ranks = jnp.where(after >= length, after - length, after), jnp.where(before < 0, before + length, before)
    there = [(rank < size) & (offset <= size // 2) for rank in ranks]
    both, nowhere = there[0] & there[1], trades.places.size
    values = [jnp.where(known, start + rank, 0) for known, rank in zip(there, ranks, strict=True)]
    rows, own = [trades.row_start[value] for value in values], [columns[value] for value in values]
    held = [jnp.where(there[i], rows[i] + own[i], nowhere) for i in (0, 1)]
    asked = [jnp.where(both, rows[i] + own[1 - i], nowhere) for i in (0, 1)]
    named = [jnp.where(both, value, trades.column.size) for value in values]
    return _Pairs((named[0], named[1]), (own[0], own[1]), (held[0], held[1]), (asked[0], asked[1]))


def _ready(touched: Array, made: _Pairs) -> Array:
    """Whether no other pair touches a pair's cells, and those asked for are free."""
    held = [touched[cell] == _HELD for cell in made.held]
    asked = [touched[cell] == _ASKED for cell in made.asked]
    return held[0] & held[1] & asked[0] & asked[1]


def _odds(effects: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """Logarithms of odds, and of values' rows and of columns what adds up to an index of them."""
    table = log_odds(jnp.arange(-_UNITS * _STEPS, _UNITS * _STEPS + 1) / _STEPS)
    rows, columns = (jnp.round(own * _STEPS).astype(jnp.int32) for own in effects)
    return table, rows + _UNITS * _STEPS, columns


def _drawn(odds: tuple[Array, Array, Array], made: _Pairs, coin: Array) -> Array:
    """Whether a pair trades by the odds of the cells."""
    table, rows, columns = odds

    def log_odds_of(value: int, column: int) -> Array:
        at = rows[jnp.minimum(made.values[value], rows.size - 1)] + columns[made.columns[column]]
        return table[jnp.clip(at, 0, table.size - 1)]

    gain = log_odds_of(0, 1) + log_odds_of(1, 0) - log_odds_of(0, 0) - log_odds_of(1, 1)
    number = jnp.arange(gain.size, dtype=jnp.uint32)
    uniform = (hash32(number ^ hash32(coin)) >> 8).astype(gain.dtype) * 2**-24
    return uniform < jnp.exp(jnp.minimum(gain, 0))
