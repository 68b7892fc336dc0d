package org.frkeras.demo

import android.os.Build
import java.io.File
import java.nio.ByteBuffer
import org.frkeras.demo.logic.Accelerator
import org.frkeras.demo.logic.Engine
import org.frkeras.demo.logic.Network
import org.frkeras.demo.logic.NumberType
import org.frkeras.demo.logic.RefusedException
import org.frkeras.demo.logic.Resources
import org.frkeras.demo.logic.TensorType
import org.frkeras.demo.logic.owning
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import org.tensorflow.lite.TensorFlowLite
import org.tensorflow.lite.gpu.CompatibilityList
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.nnapi.NnApiDelegate

/** Networks on TFLite or LiteRT; both have these names. A delegate is used by one thread only. */
class TfliteEngine : Engine {
    override val version: String get() = "TFLite ${TensorFlowLite.runtimeVersion()}"

    override fun open(file: File, accelerator: Accelerator, threads: Int): Network =
        explained(accelerator) {
            owning { resources ->
                val options = Interpreter.Options().setNumThreads(threads)
                    .setUseXNNPACK(accelerator != Accelerator.NONE)
                delegate(accelerator)?.let {
                    resources.add(it)
                    options.addDelegate(it)
                }
                val interpreter = resources.add(Interpreter(file, options))
                TfliteNetwork(interpreter, resources, accelerator)
            }
        }

    private fun delegate(accelerator: Accelerator): Delegate? = when (accelerator) {
        Accelerator.NONE, Accelerator.CPU -> null
        Accelerator.GPU -> {
            if (!CompatibilityList().use { it.isDelegateSupportedOnThisDevice }) {
                throw RefusedException("TFLite's GPU delegate does not support this phone")
            }
            GpuDelegate()
        }
        Accelerator.NNAPI -> {
            if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O_MR1) {
                val release = Build.VERSION.RELEASE
                throw RefusedException("NNAPI needs Android 8.1, this phone has $release")
            }
            NnApiDelegate()
        }
    }
}

private class TfliteNetwork(
    private val interpreter: Interpreter,
    private val resources: Resources,
    private val accelerator: Accelerator,
) : Network {
    override val input: TensorType
    override val output: TensorType
    override val notes =
        if (accelerator == Accelerator.NONE || accelerator == Accelerator.CPU) {
            emptyList()
        } else {
            listOf("the delegate does not tell which ops it took; others ran on the CPU")
        }

    init {
        if (interpreter.inputTensorCount != 1 || interpreter.outputTensorCount != 1) {
            throw RefusedException("A network must have one input and one output here")
        }
        input = interpreter.getInputTensor(0).type(name { getSignatureInputs(it) })
        output = interpreter.getOutputTensor(0).type(name { getSignatureOutputs(it) })
    }

    override fun run(input: ByteBuffer, output: ByteBuffer) = explained(accelerator) {
        interpreter.run(input, output)
    }

    override fun close() = resources.close()

    /** By the one signature, as `fr_keras` names inputs and outputs. */
    private fun name(names: Interpreter.(String) -> Array<String>): String? =
        interpreter.signatureKeys.singleOrNull()?.let { interpreter.names(it).singleOrNull() }
}

private fun Tensor.type(name: String?): TensorType {
    val known = when (dataType()) {
        DataType.FLOAT32 -> NumberType.FLOAT32
        DataType.INT8 -> NumberType.INT8
        DataType.UINT8 -> NumberType.UINT8
        DataType.INT16 -> NumberType.INT16
        else -> throw RefusedException("A tensor of ${dataType()} is not known here")
    }
    val steps = quantizationParams()
    return TensorType(name ?: name(), shape().toList(), known, steps.scale, steps.zeroPoint)
}

/** Tells what TFLite throws, where it refuses a file or a device, from errors of this program. */
private inline fun <T> explained(accelerator: Accelerator, work: () -> T): T =
    try {
        work()
    } catch (error: IllegalArgumentException) {
        throw refused(accelerator, error)
    } catch (error: IllegalStateException) {
        throw refused(accelerator, error)
    } catch (error: UnsupportedOperationException) {
        throw refused(accelerator, error)
    } catch (error: LinkageError) {
        // A native library or a class that this phone cannot load.
        throw refused(accelerator, error)
    }

private fun refused(accelerator: Accelerator, error: Throwable) =
    RefusedException("$accelerator: ${error.message ?: error.toString()}".trim(), error)
