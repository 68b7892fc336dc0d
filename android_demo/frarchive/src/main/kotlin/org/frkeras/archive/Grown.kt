package org.frkeras.archive

private const val LONGEST_VECTOR = 1 shl 12

/** A kernel that contains the kernel of a smaller network of the same file. */
public class GrownKernel internal constructor(
    private val before: Kernel,
    private val axes: List<Axis>,
    private val new: List<Kernel>,
) : Kernel(axes.last().length) {
    private val numbers: Long = product(axes.map { it.length })

    override val size: Int get() = numbers.toInt()

    init {
        val old = axes.map { it.old }
        if (product(old) != before.size.toLong() || old.last() != before.columns) {
            throw GrowthException("A kernel of $old has not grown from ${before.size} numbers")
        }
        val wanted = parts(axes).map { part -> axes.zip(part) { axis, side -> axis.count(side) } }
        val fits = wanted.size == new.size && wanted.zip(new).all { (shape, part) ->
            product(shape) == part.size.toLong() && shape.last() == part.columns
        }
        if (!fits) throw GrowthException("The new parts of a kernel have the shapes $wanted")
    }

    override fun reals(): FloatArray = FloatArray(size).also(::write)

    override fun doubles(): DoubleArray {
        val reals = reals()
        return DoubleArray(size) { reals[it].toDouble() }
    }

    /** Writes the numbers to the beginning of an array. */
    private fun write(target: FloatArray) {
        if (before is GrownKernel) before.write(target) else before.reals().copyInto(target)
        val isNew = axes.map { it.isNew() }
        spread(target, isNew)
        parts(axes).forEachIndexed { number, part ->
            val reals = new[number].reals()
            var next = 0
            val sides = part.map { side -> if (side == Side.ALL) null else side == Side.NEW }
            walk(isNew, sides) { target[it] = reals[next++] }
        }
    }

    /**
     * Moves the old numbers, which are the first of the array, to their places, and 0 between. No
     * place is before that of a number where it is, so this goes from the last to the first.
     */
    private fun spread(target: FloatArray, isNew: List<BooleanArray>) {
        val places = IntArray(before.size)
        var count = 0
        walk(isNew, List(axes.size) { false }) { places[count++] = it }
        var behind = size
        for (number in places.indices.reversed()) {
            val place = places[number]
            val value = target[number]
            target.fill(0f, place + 1, behind)
            target[place] = value
            behind = place
        }
        target.fill(0f, 0, behind)
    }

    /** Calls [each] with the places that are on the given sides, in order; `null` is both. */
    private fun walk(isNew: List<BooleanArray>, sides: List<Boolean?>, each: (Int) -> Unit) {
        val positions = isNew.zip(sides) { marks, side ->
            val found = IntArray(marks.count { side == null || it == side })
            var next = 0
            for (place in marks.indices) {
                if (side == null || marks[place] == side) found[next++] = place
            }
            found
        }
        walk(positions, 0, 0, each)
    }

    private fun walk(positions: List<IntArray>, axis: Int, place: Int, each: (Int) -> Unit) {
        val begin = place * axes[axis].length
        if (axis == axes.size - 1) {
            for (position in positions[axis]) each(begin + position)
        } else {
            for (position in positions[axis]) walk(positions, axis + 1, begin + position, each)
        }
    }
}

/** A vector that contains the vector of a smaller network of the same file. */
public class GrownVector internal constructor(
    private val before: Vector,
    private val axis: Axis,
    private val new: Quantized,
) : Vector {
    override val size: Int get() = before.size + new.size

    /** How many numbers the vector has. */
    public val length: Int get() = axis.length

    init {
        val fits = axis.new > 0 && axis.length <= LONGEST_VECTOR && before.fits(axis.old)
        if (!fits || !new.fits(axis.new)) {
            throw GrowthException("A vector has not grown from ${axis.old} to ${axis.length}")
        }
    }

    override fun fits(length: Int): Boolean = length == axis.length

    override fun rebuild(length: Int): FloatArray {
        require(fits(length)) { "`length` must be ${axis.length}. Received: $length" }
        val old = before.rebuild(axis.old).iterator()
        val added = new.rebuild(axis.new).iterator()
        val isNew = axis.isNew()
        return FloatArray(length) { if (isNew[it]) added.next() else old.next() }
    }
}
