package org.frkeras.demo.logic

import kotlin.math.hypot

private const val SIDE = 28
/** The longer side of a digit and its ink, as MNIST has them: 20 of 28 pixels, about 2.4 wide. */
private const val BOX = 20f
private const val RADIUS = 1.2f
private const val INK = 255f

/** A point of the canvas; the unit does not matter, for a drawing is fitted into its box. */
data class Point(val x: Float, val y: Float)

/** A drawing: strokes of one or more points. */
data class Drawing(val strokes: List<List<Point>> = emptyList()) {
    val isEmpty: Boolean get() = strokes.isEmpty()

    /** The drawing with a stroke begun, or the last one drawn on. */
    fun with(point: Point, begins: Boolean): Drawing =
        if (begins || strokes.isEmpty()) {
            Drawing(strokes + listOf(listOf(point)))
        } else {
            Drawing(strokes.dropLast(1) + listOf(strokes.last() + point))
        }

    /** White ink on black, fitted into the middle as the digits of MNIST are. */
    fun picture(): GrayPicture {
        val fitted = fitted()
        return GrayPicture(
            SIDE,
            SIDE,
            FloatArray(SIDE * SIDE) { place ->
                ink(fitted, place % SIDE + 0.5f, place / SIDE + 0.5f)
            },
        )
    }

    /** As text, for the system to keep while the app is away. */
    fun save(): String =
        strokes.joinToString(";") { stroke -> stroke.joinToString(" ") { "${it.x},${it.y}" } }

    private fun fitted(): List<List<Point>> {
        val points = strokes.flatten()
        if (points.isEmpty()) return emptyList()
        val left = points.minOf { it.x }
        val top = points.minOf { it.y }
        val width = points.maxOf { it.x } - left
        val height = points.maxOf { it.y } - top
        val longest = maxOf(width, height)
        // The ink is as wide as it is; the box holds it whole. A dot stays a dot.
        val scale = if (longest > 0) (BOX - 2 * RADIUS) / longest else 0f
        val x = (SIDE - width * scale) / 2
        val y = (SIDE - height * scale) / 2
        return strokes.map { stroke ->
            stroke.map { Point(x + (it.x - left) * scale, y + (it.y - top) * scale) }
        }
    }

    companion object {
        /** The drawing of a text of [save]; an empty one where it is none. */
        fun restore(text: String): Drawing {
            val strokes = text.split(";").filter { it.isNotEmpty() }.map { stroke ->
                stroke.split(" ").map { point ->
                    val sides = point.split(",").map { it.toFloatOrNull() }
                    Point(
                        sides.getOrNull(0) ?: return Drawing(),
                        sides.getOrNull(1) ?: return Drawing(),
                    )
                }
            }
            return Drawing(strokes)
        }
    }
}

/** How much of a pixel is inked: a disc moved along the strokes, its edge one pixel soft. */
private fun ink(strokes: List<List<Point>>, x: Float, y: Float): Float {
    var nearest = Float.MAX_VALUE
    for (stroke in strokes) {
        for (place in stroke.indices) {
            val from = stroke[maxOf(place - 1, 0)]
            nearest = minOf(nearest, distance(from, stroke[place], x, y))
        }
    }
    return INK * (RADIUS + 0.5f - nearest).coerceIn(0f, 1f)
}

private fun distance(a: Point, b: Point, x: Float, y: Float): Float {
    val across = b.x - a.x
    val down = b.y - a.y
    val square = across * across + down * down
    val along = if (square > 0) ((x - a.x) * across + (y - a.y) * down) / square else 0f
    val place = along.coerceIn(0f, 1f)
    return hypot(a.x + place * across - x, a.y + place * down - y)
}
