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

# After 8 rounds no statistic that was looked at tells a network of the study from one after 100 rounds.
NUM_ROUNDS = 24
# Pairs of one turn of a loop.
PAIRS_AT_ONCE = 2**14

# How often a cell is touched: once by the weight in it, and by each that would come.
_HELD, _ASKED = 1, 2


class Trades(NamedTuple):
    """Where the values of a stock stand. Rows and columns are numbered through all blocks, and so are cells."""

    row: Array  # [C] int32, of each value
    column: Array  # [C] int32
    row_start: Array  # [rows] int32, what a column's number is added to for its cell in the row
    places: Array  # [E] int32, of each cell in the control's weights
    effects: Any = None  # of rows and of columns on the odds of a place, see `log_odds`; None where all are as likely


class _Pairs(NamedTuple):
    """Pairs of values [P] and the cells that they hold and ask for, two [P] each."""

    first: Array
    second: Array
    held: tuple[Array, Array]
    asked: tuple[Array, Array]
    number: Array


def traded_places(trades: Trades, num_values: Array, key: jax.Array) -> Array:
    """The new place of each value, [C] int32; arbitrary beyond the last.

    Args:
      trades: of C values.
      num_values: [blocks] int32.
      key: typed PRNG key, consumed.
    """
    about_key, coin_key = jax.random.split(key)
    about = jax.random.randint(about_key, (NUM_ROUNDS, num_values.size), 0, num_values | 1, jnp.int32)
    coins = jax.random.bits(coin_key, (NUM_ROUNDS,), jnp.uint32)
    ends = jnp.cumsum(_num_pairs(num_values), dtype=jnp.int32)
    turns = -(-ends[-1] // PAIRS_AT_ONCE)

    def next_round(index: Array, columns: Array) -> Array:
        def pairs(turn: Array) -> _Pairs:
            return _paired(trades, columns, num_values, ends, turn, about[index])

        def touch(turn: Array, touched: Array) -> Array:
            made = pairs(turn)
            touched = touched.at[jnp.concatenate(made.held)].add(_HELD, mode="drop")
            return touched.at[jnp.concatenate(made.asked)].add(_ASKED, mode="drop")

        def trade(turn: Array, traded: Array) -> Array:
            made = pairs(turn)
            ready = _ready(touched, made) & _drawn(trades, columns, made, coins[index])
            taken = columns[made.second], columns[made.first]
            at = [jnp.where(ready, own, columns.size) for own in (made.first, made.second)]
            return traded.at[jnp.concatenate(at)].set(jnp.concatenate(taken), mode="drop")

        touched = jax.lax.fori_loop(0, turns, touch, jnp.zeros(trades.places.size, jnp.int32))
        return jax.lax.fori_loop(0, turns, trade, columns)

    columns = jax.lax.fori_loop(0, NUM_ROUNDS, next_round, trades.column)
    return trades.places[jnp.clip(trades.row_start[trades.row] + columns, 0, trades.places.size - 1)]


def _num_pairs(num_values: Array) -> Array:
    """Of each block, which is mirrored with an odd length, so that any two can meet: so one meets itself."""
    return num_values // 2 + 1


def _paired(trades: Trades, columns: Array, num_values: Array, ends: Array, turn: Array, about: Array) -> _Pairs:
    """The pairs of one turn; what there is not, beyond the values, holds and asks for a cell beyond all."""
    number = turn * PAIRS_AT_ONCE + jnp.arange(min(PAIRS_AT_ONCE, columns.size + 1), dtype=jnp.int32)
    block = jnp.searchsorted(ends[:-1], number, side="right", method="compare_all")
    size, start = num_values[block], (jnp.cumsum(num_values, dtype=jnp.int32) - num_values)[block]
    offset = number - (ends - _num_pairs(num_values))[block]
    ranks = [(about[block] + shift) % (size | 1) for shift in (offset, -1 - offset)]
    there = [(rank < size) & (number < ends[-1]) for rank in ranks]
    first, second = (jnp.where(known, start + rank, 0) for known, rank in zip(there, ranks, strict=True))
    rows = [trades.row_start[trades.row[own]] for own in (first, second)]
    nowhere = trades.places.size
    held = [jnp.where(there[i], rows[i] + columns[own], nowhere) for i, own in enumerate((first, second))]
    asked = [jnp.where(there[0] & there[1], rows[i] + columns[own], nowhere) for i, own in enumerate((second, first))]
    return _Pairs(first, second, (held[0], held[1]), (asked[0], asked[1]), number)


def _ready(touched: Array, made: _Pairs) -> Array:
    """Whether no other pair touches a pair's cells, and those asked for are free."""
    held = [touched.at[cell].get(mode="fill", fill_value=0) == _HELD for cell in made.held]
    asked = [touched.at[cell].get(mode="fill", fill_value=0) == _ASKED for cell in made.asked]
    return held[0] & held[1] & asked[0] & asked[1]


def _drawn(trades: Trades, columns: Array, made: _Pairs, coin: Array) -> Array:
    """Whether a pair trades by the odds of the cells."""
    if trades.effects is None:
        return jnp.asarray(True)
    rows, others = (trades.effects[0][trades.row[own]] for own in (made.first, made.second))
    own, theirs = (trades.effects[1][columns[at]] for at in (made.first, made.second))
    gain = log_odds(rows + theirs) + log_odds(others + own) - log_odds(rows + own) - log_odds(others + theirs)
    uniform = (hash32(made.number.astype(jnp.uint32) ^ coin) >> 8).astype(gain.dtype) * 2**-24
    return uniform < jnp.exp(jnp.minimum(gain, 0))
