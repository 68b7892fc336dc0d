package org.frkeras.archive

/** Sums `a[.., u, ..] * matrix[u, x]` over `u`, ascending, from 0.0; `x` takes the place of `u`. */
internal fun contract(a: NdArray, matrix: NdArray, axis: Int, shape: IntArray): NdArray {
    val (terms, length) = matrix.shape
    val outer = shape.count(0 until axis)
    val inner = shape.count(axis + 1 until shape.size)
    val out = DoubleArray(shape.count())
    for (o in 0 until outer) {
        for (u in 0 until terms) {
            val from = (o * terms + u) * inner
            for (x in 0 until length) {
                val factor = matrix.data[u * length + x]
                val to = (o * length + x) * inner
                for (i in 0 until inner) out[to + i] += a.data[from + i] * factor
            }
        }
    }
    return NdArray(shape, out)
}

internal fun transpose(a: NdArray, axes: IntArray, shape: IntArray): NdArray {
    val from = a.shape.strides()
    val strides = IntArray(axes.size) { from[axes[it]] }
    val out = DoubleArray(a.data.size)
    val step = strides.lastOrNull() ?: 0
    val length = shape.lastOrNull() ?: 1
    forEachRow(shape, strides, strides) { start, place, _ ->
        for (i in 0 until length) out[start + i] = a.data[place + i * step]
    }
    return NdArray(shape, out)
}

/** The Kronecker product of two matrices. */
internal fun kron(a: NdArray, b: NdArray, shape: IntArray): NdArray {
    val (n, m) = a.shape
    val (k, p) = b.shape
    val out = DoubleArray(shape.count())
    var place = 0
    for (row in 0 until n * k) {
        for (j in 0 until m) {
            val factor = a.data[row / k * m + j]
            for (l in 0 until p) out[place++] = factor * b.data[row % k * p + l]
        }
    }
    return NdArray(shape, out)
}

/** An elementwise operation, the last axes aligned, lengths of 1 stretched. */
internal inline fun elementwise(
    a: NdArray,
    b: NdArray,
    shape: IntArray,
    function: (Double, Double) -> Double,
): NdArray {
    val aStrides = stretched(a.shape, shape)
    val bStrides = stretched(b.shape, shape)
    val aStep = aStrides.lastOrNull() ?: 0
    val bStep = bStrides.lastOrNull() ?: 0
    val length = shape.lastOrNull() ?: 1
    val out = DoubleArray(shape.count())
    forEachRow(shape, aStrides, bStrides) { start, x, y ->
        for (i in 0 until length) {
            out[start + i] = function(a.data[x + i * aStep], b.data[y + i * bStep])
        }
    }
    return NdArray(shape, out)
}

/** The strides of an array along the axes of [shape], 0 where it is stretched. */
internal fun stretched(own: IntArray, shape: IntArray): IntArray {
    val strides = own.strides()
    val missing = shape.size - own.size
    return IntArray(shape.size) { axis ->
        if (axis < missing || own[axis - missing] == 1) 0 else strides[axis - missing]
    }
}

/** [a] at the channels of [segments] along an axis, times their signs. */
internal fun gather(a: NdArray, segments: NdArray, axis: Int, shape: IntArray): NdArray {
    val count = shape[axis]
    val length = a.shape[axis]
    val channels = IntArray(count) { place ->
        val channel = segments.data[place]
        if (!(channel >= 0 && channel < length && channel == Math.rint(channel))) {
            throw ArchiveException("No recipe: GATHER of channel $channel of $length")
        }
        channel.toInt()
    }
    val outer = shape.count(0 until axis)
    val inner = shape.count(axis + 1 until shape.size)
    val out = DoubleArray(shape.count())
    for (o in 0 until outer) {
        for (place in 0 until count) {
            val sign = segments.data[count + place]
            val from = (o * length + channels[place]) * inner
            val to = (o * count + place) * inner
            for (i in 0 until inner) out[to + i] = a.data[from + i] * sign
        }
    }
    return NdArray(shape, out)
}

internal fun concatenate(a: NdArray, b: NdArray, axis: Int, shape: IntArray): NdArray {
    val outer = shape.count(0 until axis)
    val out = DoubleArray(shape.count())
    var place = 0
    for (o in 0 until outer) {
        for (one in arrayOf(a, b)) {
            val run = one.data.size / outer
            one.data.copyInto(out, place, o * run, (o + 1) * run)
            place += run
        }
    }
    return NdArray(shape, out)
}
