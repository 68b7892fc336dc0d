package org.frkeras.archive

/** An array of doubles, the last axis fastest. Nobody writes into one that was given on. */
internal class NdArray(val shape: IntArray, val data: DoubleArray)

/** How many numbers an array of a shape has. */
internal fun IntArray.count(): Int = fold(1) { product, length -> product * length }

/** The product of the lengths of the axes in [range]. */
internal fun IntArray.count(range: IntRange): Int = sliceArray(range).count()

/** How far apart in the data neighbours along each axis are. */
internal fun IntArray.strides(): IntArray {
    val strides = IntArray(size)
    var stride = 1
    for (axis in indices.reversed()) {
        strides[axis] = stride
        stride *= this[axis]
    }
    return strides
}

/**
 * Calls [row] for each run along the last axis of an array of [shape], with the places in two
 * others, whose strides along the same axes are given, at which it begins.
 */
internal inline fun forEachRow(
    shape: IntArray,
    aStrides: IntArray,
    bStrides: IntArray,
    row: (start: Int, a: Int, b: Int) -> Unit,
) {
    val size = shape.count()
    val length = if (shape.isEmpty()) 1 else shape.last()
    val index = IntArray(shape.size)
    var a = 0
    var b = 0
    for (start in 0 until size step maxOf(1, length)) {
        row(start, a, b)
        var axis = shape.size - 2
        while (axis >= 0) {
            a += aStrides[axis]
            b += bStrides[axis]
            if (++index[axis] < shape[axis]) break
            a -= aStrides[axis] * shape[axis]
            b -= bStrides[axis] * shape[axis]
            index[axis--] = 0
        }
    }
}
