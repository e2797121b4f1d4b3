package sstable

import (
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
)

// finishBlock writes the block that is being filled; next is the key behind it.
func (w *Writer) finishBlock(next base.InternalKey) {
	w.writeBlock()
	w.indexPending(next)
}

// writeBlock writes the block that is being filled and leaves it pending.
func (w *Writer) writeBlock() {
	contents := w.block.finish()
	stored, kind := w.compress(contents)
	w.startBlock(len(stored) + blockTrailerBytes)
	w.stats.props.RawBytes += uint64(len(contents))
	offset := w.out.offset()
	w.scratch = appendBlockTrailer(stored, xxhash.Sum64(stored), kind, w.opts.ID, offset)
	w.out.append(w.scratch)
	w.block.reset(2 * blockBytesMax)
	w.endBlock(offset)
}

// startBlock ends the chunk if size more bytes of blocks would be too many.
func (w *Writer) startBlock(size int) {
	if w.chunk.n == 0 {
		w.chunkStart = w.out.offset()
		return
	}
	used := w.out.offset() - w.chunkStart
	index := w.chunk.size() + 2*blockTrailerBytes + headBytes + indexRecordBytes + len(w.last.User)
	if used+uint64(size+index) > uint64(w.opts.ChunkBytes) {
		w.finishChunk()
		w.chunkStart = w.out.offset()
	}
}

// endBlock notes the block at offset, which was just written, as pending.
func (w *Writer) endBlock(offset uint64) {
	w.pending = handle{offset: offset, length: w.out.offset() - offset}
	w.stats.props.DataBlocks++
	w.stats.props.StoredBytes += w.pending.length
}

// indexPending adds the pending block, whose last key is the last one added,
// to the chunk's index.
func (w *Writer) indexPending(next base.InternalKey) {
	var trailer base.Trailer
	w.sep, trailer = separate(w.sep[:0], w.last, next)
	w.addToChunk(w.sep, trailer)
}

func (w *Writer) addToChunk(sep []byte, trailer base.Trailer) {
	if !w.chunk.add(sep, trailer, w.pending, 0) {
		w.fail(fmt.Errorf("sstable: index of a chunk of %s is too large", w.name))
	}
	w.pending = handle{}
}

// addLarge writes an entry as a block of its own without copying its payload.
func (w *Writer) addLarge(key base.InternalKey, payload []byte) {
	if w.block.count > 0 {
		w.finishBlock(key)
	}
	head := appendEntryHeader(nil, 0, len(key.User), len(payload), key.Trailer)
	head = append(head, key.User...)
	// One restart point at the beginning; the whole key is the shared prefix.
	tail := appendBlockTail(make([]byte, restartBytes, restartBytes+blockTailBytes), len(key.User), len(head), 1)
	w.startBlock(len(head) + len(payload) + len(tail) + blockTrailerBytes)
	var digest xxhash.Digest
	digest.Reset()
	for _, part := range [][]byte{head, payload, tail} {
		digest.Write(part) // never fails
	}
	offset := w.out.offset()
	w.out.append(head)
	w.out.append(payload)
	w.scratch = appendBlockTrailer(append(w.scratch[:0], tail...), digest.Sum64(), compress.None, w.opts.ID, offset)
	w.out.append(w.scratch)
	w.stats.props.RawBytes += w.out.offset() - offset - blockTrailerBytes
	w.endBlock(offset)
}

// compress returns the form of contents to store, in w.scratch.
func (w *Writer) compress(contents []byte) ([]byte, compress.Kind) {
	kind := w.opts.Compression
	if len(contents) > compressedContentsMax {
		kind = compress.None
	}
	return w.stream.Compress(w.scratch[:0], contents, kind)
}

// finishChunk writes the index of the chunk and adds the chunk to the top index.
func (w *Writer) finishChunk() {
	blocks := handle{offset: w.chunkStart, length: w.out.offset() - w.chunkStart}
	w.index = w.chunk.finish(w.index[:0])
	h := w.writeSection(w.index, w.opts.Compression)
	user, trailer := w.chunk.last()
	if !w.top.add(user, trailer, blocks, h.length) {
		w.fail(fmt.Errorf("sstable: index of %s is too large", w.name))
	}
	w.stats.props.Chunks++
	w.chunk.reset()
}

// writeSection writes contents as one block. A data block may be waiting in
// scratch meanwhile.
func (w *Writer) writeSection(contents []byte, kind compress.Kind) handle {
	if len(contents) > compressedContentsMax {
		kind = compress.None
	}
	offset := w.out.offset()
	stored, kind := w.opts.Codec.Compress(w.section[:0], contents, kind)
	w.section = appendBlockTrailer(stored, xxhash.Sum64(stored), kind, w.opts.ID, offset)
	w.out.append(w.section)
	if len(contents) > storedBytesMax-blockTrailerBytes {
		w.fail(fmt.Errorf("sstable: a section of %s has %d bytes", w.name, len(contents)))
	}
	return handle{offset: offset, length: w.out.offset() - offset}
}
