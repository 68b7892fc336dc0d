package org.frkeras.demo

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import java.io.IOException
import java.io.InputStream
import org.frkeras.demo.logic.ColorPicture

/** No picture needs more for networks this small, and a photo of today would take 200 MB. */
private const val LONGEST = 1024

/**
 * Reads a picture of another app, upright and not larger than needed.
 *
 * @throws IOException If there is none, or it is no picture.
 * @throws SecurityException If the other app does not allow it.
 */
fun ContentResolver.picture(source: Uri): ColorPicture {
    val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    opened(source).use { BitmapFactory.decodeStream(it, null, bounds) }
    val options = BitmapFactory.Options()
    options.inSampleSize = 1
    while (maxOf(bounds.outWidth, bounds.outHeight) / options.inSampleSize > LONGEST) {
        options.inSampleSize *= 2
    }
    val bitmap = opened(source).use { BitmapFactory.decodeStream(it, null, options) }
        ?: throw IOException("This is no picture that Android can read")
    return opened(source).use { bitmap.turned(ExifInterface(it)) }.colors()
}

/** The pixels. */
fun Bitmap.colors(): ColorPicture {
    val pixels = IntArray(width * height)
    getPixels(pixels, 0, width, 0, 0, width, height)
    return ColorPicture(width, height, pixels)
}

private fun ContentResolver.opened(source: Uri): InputStream =
    openInputStream(source) ?: throw IOException("There is nothing at '$source'")

private fun Bitmap.turned(exif: ExifInterface): Bitmap {
    val degrees = when (exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, 0)) {
        ExifInterface.ORIENTATION_ROTATE_90 -> 90f
        ExifInterface.ORIENTATION_ROTATE_180 -> 180f
        ExifInterface.ORIENTATION_ROTATE_270 -> 270f
        else -> return this
    }
    val matrix = Matrix().apply { setRotate(degrees) }
    return Bitmap.createBitmap(this, 0, 0, width, height, matrix, true)
}
