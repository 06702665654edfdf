package seedbed.client.platform

import java.io.File
import java.io.FileInputStream
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream
import java.io.RandomAccessFile
import java.nio.channels.FileChannel
import java.nio.file.FileAlreadyExistsException
import java.nio.file.Files as Nio
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardCopyOption.REPLACE_EXISTING
import java.nio.file.StandardOpenOption.READ

/** Files by `java.io`, and by `java.nio.file` where there is one: Android has it since version 8. */
internal object Files {
    /** Whether an open file cannot be renamed over. */
    val closeFirst = File.separatorChar == '\\'

    /** Null if there is no such file. */
    fun size(path: String): Long? = File(path).takeIf { it.exists() }?.length()

    fun read(path: String): String = File(path).readText()

    fun open(path: String): InputStream = FileInputStream(path)

    /** Replaces what is there as a whole. */
    fun write(
        path: String,
        text: String,
    ) {
        val fresh = "$path.new"
        FileOutputStream(fresh).use {
            it.write(text.toByteArray())
            it.fd.sync()
        }
        rename(fresh, path)
    }

    /** Does nothing if there is no such file. */
    fun remove(path: String) {
        val file = File(path)
        if (!file.delete() && file.exists()) throw IOException("$path cannot be removed")
    }

    /** Renames over what is there. */
    fun replace(
        from: String,
        to: String,
    ) {
        rename(from, to)
        syncDirectory(to)
    }

    /** Renames; false if something is there. */
    fun place(
        from: String,
        to: String,
    ): Boolean {
        try {
            // Unlike a rename, a link never replaces what is there.
            Nio.createLink(File(to).toPath(), File(from).toPath())
            remove(from)
        } catch (_: FileAlreadyExistsException) {
            return false
        } catch (error: Throwable) {
            // A file system without links, an app that may make none, or a platform without the class.
            if (error !is IOException && error !is UnsupportedOperationException && error !is LinkageError) throw error
            if (File(to).exists()) return false
            rename(from, to)
        }
        syncDirectory(to)
        return true
    }

    /** Opens for writing at [offset], which is the size, or 0: then what is there goes. */
    fun append(
        path: String,
        offset: Long,
    ): RandomAccessFile =
        RandomAccessFile(path, "rw").also {
            it.setLength(offset)
            it.seek(offset)
        }

    /** Brings a file to the disk. */
    fun sync(path: String) = RandomAccessFile(path, "rw").use { it.fd.sync() }

    /** Bytes that are free for [path]. */
    fun free(path: String): Long? {
        val directory = File(path).absoluteFile.parentFile ?: return null
        return directory.takeIf { it.exists() }?.usableSpace
    }

    private fun rename(
        from: String,
        to: String,
    ) {
        try {
            Nio.move(File(from).toPath(), File(to).toPath(), REPLACE_EXISTING, ATOMIC_MOVE)
        } catch (_: LinkageError) {
            // An older Android, whose rename is that of Linux.
            if (!File(from).renameTo(File(to))) throw IOException("$from cannot be renamed to $to")
        }
    }

    /** Brings a new name to the disk, where directories can be opened. */
    private fun syncDirectory(path: String) {
        if (closeFirst) return
        try {
            FileChannel.open(File(path).absoluteFile.parentFile.toPath(), READ).use { it.force(true) }
        } catch (_: LinkageError) {
            // An older Android.
        } catch (_: IOException) {
            // A file system that has no such thing.
        }
    }
}
