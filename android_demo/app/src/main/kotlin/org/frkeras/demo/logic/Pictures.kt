package org.frkeras.demo.logic

/** A picture of one number a pixel, from 0 to 255, row by row. */
class GrayPicture(val width: Int, val height: Int, val pixels: FloatArray) {
    init {
        require(width > 0 && height > 0 && pixels.size == width * height) {
            "A picture of $width x $height has as many pixels, not ${pixels.size}"
        }
    }

    /** The square in its middle. */
    fun square(): GrayPicture {
        val side = minOf(width, height)
        val left = (width - side) / 2
        val top = (height - side) / 2
        return GrayPicture(
            side,
            side,
            FloatArray(side * side) { pixels[(top + it / side) * width + left + it % side] },
        )
    }

    /** In another size: each pixel is the mean of the area that it covers. */
    fun resized(width: Int, height: Int): GrayPicture {
        val columns = shares(this.width, width)
        val rows = shares(this.height, height)
        val narrow = Array(this.height) { row ->
            DoubleArray(width) { column ->
                columns[column].mean { pixels[row * this.width + it].toDouble() }
            }
        }
        val found = FloatArray(width * height) { place ->
            rows[place / width].mean { narrow[it][place % width] }.toFloat()
        }
        return GrayPicture(width, height, found)
    }

    /** The inputs of a network. */
    fun inputs(normalization: Normalization): FloatArray {
        val scale = normalization.scale.toFloat()
        val offset = normalization.offset.toFloat()
        return FloatArray(pixels.size) { pixels[it] * scale + offset }
    }

    companion object {
        private const val RED = 0.299f
        private const val GREEN = 0.587f
        private const val BLUE = 0.114f

        /** From pixels as Android has them, `0xAARRGGBB`: the luma of ITU-R BT.601. */
        fun of(width: Int, height: Int, colors: IntArray): GrayPicture {
            val gray = FloatArray(colors.size) {
                val color = colors[it]
                RED * (color shr 16 and 0xff) + GREEN * (color shr 8 and 0xff) +
                    BLUE * (color and 0xff)
            }
            return GrayPicture(width, height, gray)
        }
    }
}

/** What a pixel of a new size covers: pixels of the old one from [first] on, and how much. */
private class Share(val first: Int, val weights: DoubleArray) {
    inline fun mean(value: (Int) -> Double): Double {
        var sum = 0.0
        for (place in weights.indices) sum += weights[place] * value(first + place)
        return sum
    }
}

private fun shares(old: Int, new: Int): List<Share> = List(new) { place ->
    val ratio = old.toDouble() / new
    val begin = place * ratio
    val end = minOf((place + 1) * ratio, old.toDouble())
    val first = minOf(begin.toInt(), old - 1)
    val count = maxOf(1, Math.ceil(end).toInt() - first)
    val covered = DoubleArray(count) {
        minOf(end, first + it + 1.0) - maxOf(begin, (first + it).toDouble())
    }
    val all = covered.sum()
    Share(first, DoubleArray(count) { covered[it] / all })
}
