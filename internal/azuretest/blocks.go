package azuretest

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strconv"
)

const maxBlocks = 50_000

func (s *Server) putBlock(c *call) *Failure {
	id := c.query.Get("blockid")
	if raw, err := base64.StdEncoding.DecodeString(id); err != nil || len(raw) == 0 || len(raw) > 64 {
		return fail(http.StatusBadRequest, "InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid.")
	}
	data, f := c.body()
	if f != nil {
		return f
	}
	s.mu.Lock()
	f = s.stage(c, id, data)
	s.mu.Unlock()
	if f != nil {
		return f
	}
	s.reply(c, http.StatusCreated, nil)
	return nil
}

// stage keeps a block until it is committed. s.mu is held.
func (s *Server) stage(c *call, id string, data []byte) *Failure {
	in, f := s.within(c.container)
	if f != nil {
		return f
	}
	b := in.blob(c.blob)
	for other := range b.staged {
		if len(other) != len(id) {
			return fail(http.StatusBadRequest, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
		}
	}
	if len(data) == 0 {
		return fail(http.StatusBadRequest, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.")
	}
	if len(b.staged) >= 2*maxBlocks {
		return fail(http.StatusConflict, "BlockCountExceedsLimit", "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.")
	}
	b.staged[id] = data // nobody else has it
	return nil
}

// blockList is the body of Put Block List, in its order.
type blockList struct {
	Blocks []struct {
		XMLName xml.Name
		ID      string `xml:",chardata"`
	} `xml:",any"`
}

func (s *Server) putBlockList(c *call) *Failure {
	body, f := c.body()
	if f != nil {
		return f
	}
	var list blockList
	if err := xml.Unmarshal(body, &list); err != nil {
		return fail(http.StatusBadRequest, "InvalidXmlDocument", "XML specified is not syntactically valid.")
	}
	s.mu.Lock()
	f = s.commit(c, list)
	s.mu.Unlock()
	if f != nil {
		return f
	}
	s.reply(c, http.StatusCreated, nil)
	return nil
}

// commit puts a blob together. s.mu is held.
func (s *Server) commit(c *call, list blockList) *Failure {
	in, f := s.within(c.container)
	if f != nil {
		return f
	}
	b := in.blob(c.blob)
	if f := writable(c, b); f != nil {
		return f
	}
	limit := maxBlocks
	if s.options.MaxBlocks > 0 {
		limit = s.options.MaxBlocks
	}
	if len(list.Blocks) > limit {
		return fail(http.StatusBadRequest, "BlockListTooLong", "The block list may not contain more than "+strconv.Itoa(limit)+" blocks.")
	}
	var blocks []block
	var data []byte
	for _, entry := range list.Blocks {
		found, ok := b.lookup(entry.XMLName.Local, entry.ID)
		if !ok {
			return fail(http.StatusBadRequest, "InvalidBlockList", "The specified block list is invalid.")
		}
		blocks = append(blocks, block{entry.ID, found})
		data = append(data, found...)
	}
	s.write(b, data, metadataOf(c.r), c.r.Header.Get("X-Ms-Blob-Content-Type"))
	b.blocks = blocks
	s.makeDirectories(in, c.blob)
	showVersion(c.w, b)
	return nil
}

// lookup returns a block of the blob from where the list says that it is.
func (b *blob) lookup(where, id string) ([]byte, bool) {
	if where == "Uncommitted" || where == "Latest" {
		if data, ok := b.staged[id]; ok {
			return data, true
		}
	}
	if where == "Committed" || where == "Latest" {
		for _, old := range b.blocks {
			if old.id == id {
				return old.data, true
			}
		}
	}
	return nil, false
}

// getBlockList lists the blocks that wait, and those of the blob.
func (s *Server) getBlockList(c *call) *Failure {
	s.mu.Lock()
	in, f := s.within(c.container)
	if f != nil {
		s.mu.Unlock()
		return f
	}
	b, ok := in.blobs[c.blob]
	if !ok {
		s.mu.Unlock()
		return fail(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
	}
	type entry struct {
		Name string
		Size int
	}
	var answer struct {
		XMLName     xml.Name `xml:"BlockList"`
		Committed   []entry  `xml:"CommittedBlocks>Block"`
		Uncommitted []entry  `xml:"UncommittedBlocks>Block"`
	}
	for _, old := range b.blocks {
		answer.Committed = append(answer.Committed, entry{old.id, len(old.data)})
	}
	for id, data := range b.staged {
		answer.Uncommitted = append(answer.Uncommitted, entry{id, len(data)})
	}
	s.mu.Unlock()
	return s.replyXML(c, answer)
}
