package org.frkeras.archive

/**
 * The flat places of a corner in zigzag order: by ascending sum of the indices, each times the
 * weight of its axis; ties by the last axis, the second-last, then the others in order.
 */
internal fun zigzag(corner: IntArray, weights: LongArray): IntArray {
    val count = corner.count()
    val axes = significant(corner.size).filter { corner[it] > 1 }
    // A common factor changes no order, and without it a key below has at most 63 bits: two axes
    // share at most 2^22 places, and one of their weights is below 2^20.
    val divisor = axes.map { weights[it] }.reduceOrNull(::greatestDivisor) ?: 1
    val strides = corner.strides()
    val index = IntArray(corner.size)
    val places = IntArray(count)
    val keys = LongArray(count)
    val fastestFirst = axes.reversed()
    var place = 0
    var sum = 0L
    // The places in the order of the tie rule: the key of each is its sum, then its number.
    for (number in 0 until count) {
        keys[number] = sum * count + number
        places[number] = place
        for (axis in fastestFirst) {
            place += strides[axis]
            sum += weights[axis] / divisor
            if (++index[axis] < corner[axis]) break
            place -= strides[axis] * corner[axis]
            sum -= weights[axis] / divisor * corner[axis]
            index[axis] = 0
        }
    }
    keys.sort()
    return IntArray(count) { places[(keys[it] % count).toInt()] }
}

/** The axes from the most to the least significant one of the tie rule. */
private fun significant(rank: Int): List<Int> {
    val last = rank - 1
    return listOf(last, last - 1).filter { it >= 0 } + (0 until last - 1)
}

private tailrec fun greatestDivisor(a: Long, b: Long): Long =
    if (b == 0L) a else greatestDivisor(b, a % b)
