package org.frkeras.archive

private const val MOST_NUMBERS = 1 shl 24

// The form of signs of a seed; those below are numbers of levels.
private const val SIGNS = MOST_LEVELS + 1

// The least mean of the class of an unknown scale, in 1/256.
private const val UNKNOWN_MEAN = 512L
private const val LAST_FEW = 8
private const val LAST_OF_COLUMN = 32

/** Reads the section of kernels in space: a table of them, then their numbers. */
internal fun readKernels(section: Section): List<Kernel> {
    val decoder = section.decoder()
    val rows = KernelTable(decoder, section.payload.size).rows()
    val numbers = KernelNumbers()
    val levels = Levels()
    val kernels = rows.map { row ->
        when (row.form) {
            0 -> {
                val values = numbers.read(decoder, row.rows, row.columns)
                Kernel.Whole(Quantized(values, row.step), row.columns)
            }
            SIGNS -> signs(decoder, row)
            else -> {
                val ofKernel = levels.read(decoder, row.form)
                val places = Places(ofKernel, row.rows, row.columns).read(decoder)
                Kernel.Codebook(places, ofKernel, row.columns)
            }
        }
    }
    decoder.finish()
    return kernels
}

private fun signs(decoder: RangeDecoder, row: KernelRow): Kernel.Signs {
    val seed = unsigned(decoder, Long.SIZE_BITS)
    val scale = real(decoder)
    if (!(scale > 0 && scale.isFinite())) {
        throw decoder.refused("The scale of signs is a finite number above 0, not $scale")
    }
    return Kernel.Signs(seed, scale, row.rows * row.columns, row.columns)
}

private class KernelRow(val rows: Int, val columns: Int, val step: Int, val form: Int)

/** The table of a section of so many bytes; its rows are differences from the row before. */
private class KernelTable(private val decoder: RangeDecoder, private val size: Int) {
    private val most = mostNumbers(MOST_NUMBERS, size)
    private val rowNumbers = Numbers(LENGTHS)
    private val columnNumbers = Numbers(LENGTHS)
    private val stepNumbers = Numbers()
    private val formNumbers = Numbers()
    private var rows = 0L
    private var columns = 0L
    private var step = 0L
    private var total = 0L
    private var ofSeeds = 0L

    fun rows(): List<KernelRow> {
        val number = Numbers().magnitude(decoder)
        if (number !in 1..MOST_SERIES) {
            throw decoder.refused("A section has 1 to $MOST_SERIES kernels, not $number")
        }
        return List(number) { row() }
    }

    private fun row(): KernelRow {
        rows += rowNumbers.signed(decoder)
        columns += columnNumbers.signed(decoder)
        val change = stepNumbers.signed(decoder)
        step += change
        val form = formNumbers.magnitude(decoder)
        if (rows < 0 || columns < 1 || step < STEPS.first || step > STEPS.last) {
            throw decoder.refused("A kernel has no $rows rows of $columns, step $step")
        }
        if (form > SIGNS || form != 0 && change != 0) {
            throw decoder.refused("A kernel has no form $form, with a step that differs by $change")
        }
        // An empty kernel counts as one with a row. The product fits into 63 bits: the lengths
        // of the kernel before were at most 2^24, and the differences are below 2^31.
        val count = maxOf(rows, 1) * columns
        total += count
        if (form == SIGNS) ofSeeds += count
        if (total > MOST_NUMBERS || total - ofSeeds > most) {
            throw decoder.refused(
                "$size bytes hold at most $most numbers, not ${total - ofSeeds}, and " +
                    "$MOST_NUMBERS with signs of seeds, not $total",
            )
        }
        return KernelRow(rows.toInt(), columns.toInt(), step.toInt(), form)
    }
}

/**
 * The numbers of kernels, row by row. The exponent of each is predicted from the last few numbers
 * of its kernel and from those of its column. All kernels share what is learned.
 */
private class KernelNumbers {
    private val byScale = exponentsByClass()
    private val byColumn = exponentsByClass()
    private val magnitudes = Magnitudes()

    fun read(decoder: RangeDecoder, rows: Int, columns: Int): IntArray {
        val values = IntArray(rows * columns)
        // Means, in 1/256. Those of the columns of a single row would never be taken.
        val ofColumns = LongArray(if (rows > 1) columns else 0) { UNKNOWN_MEAN }
        var mean = UNKNOWN_MEAN
        for (place in values.indices) {
            val row = place / columns
            val column = place % columns
            val ofColumn = if (rows > 1) ofColumns[column] else UNKNOWN_MEAN
            val scale = byScale[classOf(mean)]
            val magnitude = magnitudes.read(decoder, scale, byColumn[classOf(ofColumn)])
            mean = moved(mean, magnitude, minOf(place, LAST_FEW))
            if (rows > 1) {
                ofColumns[column] = moved(ofColumn, magnitude, minOf(row, LAST_OF_COLUMN))
            }
            val negative = magnitude != 0 && decoder.bit(HALF) == 1
            values[place] = if (negative) -magnitude else magnitude
        }
        return values
    }
}
