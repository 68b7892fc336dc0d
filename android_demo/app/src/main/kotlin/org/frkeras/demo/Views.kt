package org.frkeras.demo

import android.app.Activity
import android.app.Dialog
import android.view.View

/** The view of a layout that is shown. */
fun <T : View> Activity.find(id: Int): T = checkNotNull(findViewById<T>(id))

/** The view of a layout that is shown. */
fun <T : View> Dialog.find(id: Int): T = checkNotNull(findViewById<T>(id))

/** The view of a layout. */
fun <T : View> View.find(id: Int): T = checkNotNull(findViewById<T>(id))
