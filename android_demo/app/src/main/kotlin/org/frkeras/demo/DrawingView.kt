package org.frkeras.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.util.AttributeSet
import android.view.MotionEvent
import android.view.View
import org.frkeras.demo.logic.Drawing
import org.frkeras.demo.logic.Point

private const val INK_WIDTH = 0.08f

/** A square to draw on with a finger. Points are from 0 to 1, so that they survive a rotation. */
class DrawingView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    /** Gets points, and whether a stroke begins there. */
    var drawn: (Point, Boolean) -> Unit = { _, _ -> }
    var lifted: () -> Unit = {}

    private var drawing = Drawing()
    private val ink = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.WHITE
        style = Paint.Style.STROKE
        strokeCap = Paint.Cap.ROUND
    }

    fun show(drawing: Drawing) {
        this.drawing = drawing
        invalidate()
    }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        super.onMeasure(widthMeasureSpec, heightMeasureSpec)
        val side = minOf(measuredWidth, measuredHeight)
        setMeasuredDimension(side, side)
    }

    override fun onTouchEvent(event: MotionEvent): Boolean {
        val point = Point(event.x / width, event.y / height)
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> {
                // A list that this lies in must not scroll instead.
                parent.requestDisallowInterceptTouchEvent(true)
                drawn(point, true)
            }
            MotionEvent.ACTION_MOVE -> {
                for (place in 0 until event.historySize) {
                    val x = event.getHistoricalX(place) / width
                    drawn(Point(x, event.getHistoricalY(place) / height), false)
                }
                drawn(point, false)
            }
            MotionEvent.ACTION_UP -> performClick()
            MotionEvent.ACTION_CANCEL -> lifted()
            else -> return false
        }
        return true
    }

    override fun performClick(): Boolean {
        super.performClick()
        lifted()
        return true
    }

    override fun onDraw(canvas: Canvas) {
        canvas.drawColor(Color.BLACK)
        ink.strokeWidth = INK_WIDTH * width
        for (stroke in drawing.strokes) {
            for (place in stroke.indices) {
                val from = stroke[maxOf(place - 1, 0)]
                val to = stroke[place]
                canvas.drawLine(from.x * width, from.y * height, to.x * width, to.y * height, ink)
            }
        }
    }
}
