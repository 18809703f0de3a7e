"""Random permutations without a sort: a keyed bijection of the indices 0..n - 1.

A sort of n random numbers is the usual way and costs O(n log n) comparisons, which dominate a shuffle test. Here each
index is mapped on its own, in a fixed number of integer operations, so the work is O(n), needs no communication and
gives the same bits on every device. n may be a traced value.

The bijection is an alternating Feistel network on the grid Z_a x Z_b with a b >= n (Luby and Rackoff 1988; for mixed
radices Black and Rogaway 2002). Points that land at n or above are mapped again until they fall below n (cycle
walking); a b - n < 2 a once n exceeds 12, so few do, and running the network backwards from there tells which. Using a
keyed bijection to shuffle on a GPU is due to Mitchell et al. 2021.

The rounds over all indices are written out, so that XLA makes one loop over memory of them; those over the few cells
outside are a loop, which is less to compile.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

# Two million draws at each size from 4 to 8 show no departure from uniformity over all orders with these two numbers;
# on a grid of 3 x 2 cells the twelve rounds would leave some orders of 6 elements 23% too likely.
NUM_ROUNDS = 12
SHORTEST_SIDE = 4


class Grid(NamedTuple):
    """A grid whose cells are numbered row by row; both sides are uint32 below 2^16."""

    rows: Any
    columns: Any


class Cells(NamedTuple):
    """Cells of grids, two numbers below 2^16 in each word, because they are read for every shuffle."""

    place: Any  # [C] uint32, row and column
    grid: Any  # [C] or [] uint32, sides of the grid
    salt: Any  # [C] or [] uint32, tells apart permutations that share their words


def permuted_index(index: Array, size: Array | int, words: Array, *, max_size: int) -> Array:
    """Image of each index under a random permutation of 0..size - 1.

    Args:
      index: ascending whole numbers, [C]; those at size or above get an arbitrary image.
      size: number of elements, a scalar; may be traced.
      words: random bits that select the permutation, [NUM_ROUNDS] uint32 from `random_words`.
      max_size: what size cannot exceed, static, below 2^31.

    Returns:
      int32 [C].
    """
    size = jnp.maximum(jnp.asarray(size, jnp.uint32), 1)
    grid = grid_of(size, jnp)
    salt = jnp.uint32(0)
    image = images(cells_of(index.astype(jnp.uint32), grid, salt), words)
    # The cells at size and above, the cells that are sent there, and where those end up at last.
    outside = size + jnp.arange(num_outside(max_size), dtype=jnp.uint32)
    there = outside < grid.rows * grid.columns
    cell, end = settle(cells_of(outside, grid, salt), jnp.where(there, size, 0), words)
    place = jnp.searchsorted(index.astype(jnp.uint32), cell)
    asked = there & (cell < size) & (index[jnp.minimum(place, index.size - 1)] == cell)
    return image.at[jnp.where(asked, place, index.size)].set(end, mode="drop").astype(jnp.int32)


def permuted_parts(sizes: Array, words: Array, *, length: int, max_size: int) -> Array:
    """A random permutation of the numbers below the sum of sizes that leaves each in its part.

    Args:
      sizes: of the parts, one after the other, [P] whole numbers; may be traced.
      words: as in `permuted_index`; the parts' permutations differ.
      length: what the sum of sizes cannot exceed, static, below 2^31.
      max_size: what no size can exceed, static.

    Returns:
      int32 [length], arbitrary from the sum of sizes on.
    """
    sizes = sizes.astype(jnp.uint32)
    starts = jnp.cumsum(sizes, dtype=jnp.uint32) - sizes
    grids = grid_of(jnp.maximum(sizes, 1), jnp)
    salts = hash32(jnp.arange(1, sizes.size + 1, dtype=jnp.uint32))
    number = jnp.arange(length, dtype=jnp.uint32)
    part = jnp.searchsorted(starts[1:], number, side="right", method="compare_all")
    start, grid, salt = jax.tree.map(lambda x: x[part], (starts, grids, salts))
    image = start + images(cells_of(number - start, grid, salt), words)
    # As in `permuted_index`, for each part.
    beyond = jnp.arange(num_outside(max_size), dtype=jnp.uint32)
    part = jnp.repeat(jnp.arange(sizes.size, dtype=jnp.int32), beyond.size)
    size, start, grid, salt = jax.tree.map(lambda x: x[part], (sizes, starts, grids, salts))
    outside = size + jnp.tile(beyond, sizes.size)
    there = outside < grid.rows * grid.columns
    source, end = settle(cells_of(outside, grid, salt), jnp.where(there, size, 0), words)
    asked = there & (source < size)
    return image.at[jnp.where(asked, start + source, length)].set(start + end, mode="drop").astype(jnp.int32)


def random_words(key: Array, shape: tuple[int, ...] = ()) -> Array:
    """Random bits for a permutation, [*shape, NUM_ROUNDS] uint32."""
    return jax.random.bits(key, (*shape, NUM_ROUNDS), jnp.uint32)


def num_outside(max_size: int) -> int:
    """Cells at most that a grid for up to max_size elements has beyond them."""
    return max(SHORTEST_SIDE**2, 2 * (math.isqrt(max_size) + 1))


def grid_of(size: Any, xp: Any) -> Grid:
    """A nearly square grid of at least `size` cells; size is uint32, an array of the module xp, jax.numpy or numpy."""
    rows = xp.maximum(xp.floor(xp.sqrt(size.astype(xp.float32))).astype(xp.uint32) + xp.uint32(1), SHORTEST_SIDE)
    columns = xp.maximum((size + rows - xp.uint32(1)) // rows, SHORTEST_SIDE)
    # With two odd sides every rotation is an even permutation.
    return Grid(rows.astype(xp.uint32), (columns + (rows & columns & xp.uint32(1))).astype(xp.uint32))


def cells_of(number: Any, grid: Grid, salt: Any) -> Cells:
    """The cells with these numbers, [C] uint32, of one grid; of NumPy or of JAX as they are."""
    row = number // grid.columns
    sides = (grid.rows << 16) + grid.columns
    return Cells((row << 16) + (number - row * grid.columns), sides + number * 0, salt + number * 0)


def images(cells: Cells, words: Array) -> Array:
    """Numbers [C] of the cells that a pass of the network sends the given ones to."""
    (row, column), grid = _unpacked(cells.place), Grid(*_unpacked(cells.grid))
    for turn in range(0, NUM_ROUNDS, 2):
        row, column = _rounds(row, column, cells.salt, grid, words[turn], words[turn + 1])
    return row * grid.columns + column


def numbers_of(cells: Cells) -> Any:
    """Their numbers [C], uint32."""
    (row, column), (_, columns) = _unpacked(cells.place), _unpacked(cells.grid)
    return row * columns + column


def settle(cells: Cells, size: Array, words: Array) -> tuple[Array, Array]:
    """For cells outside [O]: the number of the cell sent there, and of the one below size where that one ends.

    The first is `size` where no element is sent there.
    """
    (row, column), grid, number = _unpacked(cells.place), Grid(*_unpacked(cells.grid)), numbers_of(cells)
    turns = NUM_ROUNDS // 2

    def back(turn: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        row, column = at
        first, second = words[2 * (turns - 1 - turn)], words[2 * (turns - 1 - turn) + 1]
        column = _wrap(column + grid.columns - _rotation(row, grid.columns, second ^ cells.salt), grid.columns)
        row = _wrap(row + grid.rows - _rotation(column, grid.rows, first ^ cells.salt), grid.rows)
        return row, column

    row, column = jax.lax.fori_loop(0, turns, back, (row, column))
    source = row * grid.columns + column
    sent = source < size

    def forth(turn: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        return _rounds(*at, cells.salt, grid, words[2 * turn], words[2 * turn + 1])

    def walk(end: Array) -> Array:
        row = end // grid.columns
        row, column = jax.lax.fori_loop(0, turns, forth, (row, end - row * grid.columns))
        return jnp.where(sent & (end >= size), row * grid.columns + column, end)

    end = jax.lax.while_loop(lambda end: (sent & (end >= size)).any(), walk, number)
    return jnp.where(sent, source, size), end


def hash32(x: Any, xp: Any = jnp) -> Any:
    """A bijective 32-bit mixer whose every output bit depends on every input bit (MurmurHash3's finaliser)."""
    x = (x ^ (x >> xp.uint32(16))) * xp.uint32(0x85EBCA6B)
    x = (x ^ (x >> xp.uint32(13))) * xp.uint32(0xC2B2AE35)
    return x ^ (x >> xp.uint32(16))


def _unpacked(word: Any) -> tuple[Any, Any]:
    return word >> 16, word & 0xFFFF


def _rounds(row: Array, column: Array, salt: Array, grid: Grid, first: Array, second: Array) -> tuple[Array, Array]:
    """Two rounds: each coordinate in turn is rotated by a hash of the other."""
    row = _wrap(row + _rotation(column, grid.rows, first ^ salt), grid.rows)
    return row, _wrap(column + _rotation(row, grid.columns, second ^ salt), grid.columns)


def _rotation(other: Array, modulus: Array, word: Array) -> Array:
    """A number below modulus that depends on the other coordinate, without a division; modulus is below 2^16."""
    return ((hash32(other ^ word) >> 16) * modulus) >> 16


def _wrap(x: Array, modulus: Array) -> Array:
    """Remainder of x below 2 modulus: a subtraction that falls below 0 wraps around and is the larger number."""
    return jnp.minimum(x, x - modulus)
