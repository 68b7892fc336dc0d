package org.frkeras.archive

private const val LEAST_VARIANCE = 1e-12f
private const val DOUBLE_BYTES = 8L

/**
 * Computes the arrays of a program one after the other, and lets go of each behind the last step
 * that takes it. Only + - * / and sqrt in double precision, each rounded by itself.
 */
internal class Evaluator(
    private val program: Program,
    private val shapes: Shapes,
    private val source: Source,
) {
    private val nodes = program.steps.count { it is Node }
    private val lastUse = lastUses()

    /** The bytes of all arrays that are there at a time, at most. */
    fun peakBytes(): Long {
        var live = 0L
        var peak = 0L
        var node = 0
        program.steps.forEachIndexed { place, step ->
            if (step is Node) {
                live += bytes(node)
                peak = maxOf(peak, live + scratchBytes(step, node))
                node++
            }
            live -= released(place, step, node).sumOf(::bytes)
        }
        return peak
    }

    /** Calls [fill] at each site with its number, its kernel and its bias. */
    fun run(fill: (number: Int, site: Site, kernel: NdArray, bias: NdArray?) -> Unit) {
        val arrays = arrayOfNulls<NdArray>(nodes)
        val array = { node: Int -> checkNotNull(arrays[node]) }
        var node = 0
        var site = 0
        program.steps.forEachIndexed { place, step ->
            when (step) {
                is Node -> arrays[node] = compute(step, step.inputs.map(array), shapes[node++])
                is Site -> fill(site++, step, array(step.kernel), step.bias?.let(array))
            }
            for (done in released(place, step, node)) arrays[done] = null
        }
    }

    /** Of each node, the last step that takes it, or itself. */
    private fun lastUses(): IntArray {
        val last = IntArray(nodes)
        var node = 0
        program.steps.forEachIndexed { place, step ->
            for (taken in taken(step)) last[taken] = place
            if (step is Node) last[node++] = place
        }
        return last
    }

    /** The nodes that no step behind this one takes, [next] being the node that comes next. */
    private fun released(place: Int, step: Step, next: Int): List<Int> {
        val candidates = if (step is Node) taken(step) + (next - 1) else taken(step)
        return candidates.distinct().filter { lastUse[it] == place }
    }

    private fun taken(step: Step): List<Int> = when (step) {
        is Node -> step.inputs.toList()
        is Site -> listOfNotNull(step.kernel, step.bias)
    }

    private fun bytes(node: Int) = DOUBLE_BYTES * shapes[node].count()

    /** What a step takes besides its result. */
    private fun scratchBytes(step: Node, node: Int): Long = when (step.op) {
        Op.COEFFICIENTS -> 2 * bytes(node)
        Op.VECTORS, Op.VARIANCES -> 3 * DOUBLE_BYTES * step.numbers[1]
        Op.COSINES -> DOUBLE_BYTES * (step.numbers[0] + 1)
        else -> 0
    }

    private fun compute(node: Node, inputs: List<NdArray>, shape: IntArray): NdArray {
        val axis = node.numbers.firstOrNull()?.toInt() ?: 0
        return when (node.op) {
            Op.COEFFICIENTS -> coefficients(node.numbers, shape)
            Op.VECTORS -> vectors(node.numbers, Float.NEGATIVE_INFINITY)
            Op.VARIANCES -> vectors(node.numbers, LEAST_VARIANCE)
            Op.COSINES -> cosines(node.numbers, shape)
            Op.SCALAR -> NdArray(shape, doubleArrayOf(real(node.numbers[0])))
            Op.SEGMENTS -> segments(node.numbers, shape)
            Op.CONTRACT -> contract(inputs[0], inputs[1], axis, shape)
            Op.TRANSPOSE -> transpose(inputs[0], node.numbers.axes(), shape)
            Op.RESHAPE -> NdArray(shape, inputs[0].data)
            Op.KRON -> kron(inputs[0], inputs[1], shape)
            Op.ADD -> elementwise(inputs[0], inputs[1], shape) { x, y -> x + y }
            Op.SUBTRACT -> elementwise(inputs[0], inputs[1], shape) { x, y -> x - y }
            Op.MULTIPLY -> elementwise(inputs[0], inputs[1], shape) { x, y -> x * y }
            Op.DIVIDE -> divide(inputs[0], inputs[1], shape)
            Op.SQRT -> sqrt(inputs[0])
            Op.GATHER -> gather(inputs[0], inputs[1], axis, shape)
            Op.STARTS -> NdArray(shape, inputs[0].data.sliceArray(2 * shape[0] until 3 * shape[0]))
            Op.TILE -> tile(inputs[0].data, shape)
            Op.CONCATENATE -> concatenate(inputs[0], inputs[1], axis, shape)
            Op.KERNEL -> NdArray(shape, source.kernels[axis].doubles())
        }
    }

    private fun coefficients(numbers: LongArray, shape: IntArray): NdArray {
        val reals = source.tensors[numbers[0].toInt()].reals()
        val order = zigzag(shape, numbers.sliceArray(1 + shape.size until numbers.size))
        val out = DoubleArray(order.size)
        for (place in reals.indices) out[order[place]] = reals[place].toDouble()
        return NdArray(shape, out)
    }

    private fun vectors(numbers: LongArray, least: Float): NdArray {
        val (first, length, total) = numbers.axes()
        val out = DoubleArray(total)
        for (start in 0 until total step length) {
            val vector = source.vectors[first + start / length]
            val reals = vector.rebuild(minOf(length, total - start))
            for (i in reals.indices) out[start + i] = maxOf(reals[i], least).toDouble()
        }
        return NdArray(intArrayOf(total), out)
    }

    private fun cosines(numbers: LongArray, shape: IntArray): NdArray {
        val (length, rows, from, to) = numbers.axes()
        val cosines = Cosines(length)
        val out = DoubleArray(shape.count())
        var place = 0
        for (u in 0 until rows) {
            val scale = cosines.scale(u)
            for (i in from until to) out[place++] = scale * cosines.at(u, i)
        }
        return NdArray(shape, out)
    }

    private fun segments(numbers: LongArray, shape: IntArray): NdArray {
        val channels = numbers.size / 2
        val count = shape[1]
        val out = DoubleArray(3 * count)
        var place = 0
        for (side in numbers.indices) {
            for (start in 0 until numbers[side].toInt()) {
                out[place] = (side % channels).toDouble()
                out[count + place] = if (side < channels) 1.0 else -1.0
                out[2 * count + place++] = start.toDouble()
            }
        }
        return NdArray(shape, out)
    }

    private fun tile(vector: DoubleArray, shape: IntArray) =
        NdArray(shape, DoubleArray(shape[0]) { vector[it % vector.size] })

    private fun divide(a: NdArray, b: NdArray, shape: IntArray): NdArray {
        if (b.data.any { it == 0.0 }) throw ArchiveException("No recipe: DIVIDE by 0")
        return elementwise(a, b, shape) { x, y -> x / y }
    }

    private fun sqrt(a: NdArray): NdArray {
        if (a.data.any { it < 0 }) throw ArchiveException("No recipe: SQRT of a number below 0")
        return NdArray(a.shape, DoubleArray(a.data.size) { Math.sqrt(a.data[it]) })
    }

    /** The numbers, which the shapes bound, as lengths or axes. */
    private fun LongArray.axes() = IntArray(size) { this[it].toInt() }
}
