// Reads a log as golang.org/x/mod/sumdb does: opens its checkpoint, authenticates its tiles from it, and checks
// every entry and every proof it is given. Ends with 1 and a line for the first thing it does not accept.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type proof struct {
	Index, Old, New     int64
	Leaf, Before, After string
	Path                []string
}

func must(err error, what ...any) {
	if err != nil {
		fmt.Println(append(what, err)...)
		os.Exit(1)
	}
}

func hash(text string) tlog.Hash {
	hash, err := tlog.ParseHash(text)
	must(err, text)
	return hash
}

func hashes(texts []string) (all []tlog.Hash) {
	for _, text := range texts {
		all = append(all, hash(text))
	}
	return all
}

type tiles string

func (folder tiles) Height() int                     { return 8 }
func (folder tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (folder tiles) ReadTiles(wanted []tlog.Tile) (all [][]byte, err error) {
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(folder), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func entries(folder string, size int64) (all [][]byte) {
	for number := int64(0); number*256 < size; number++ {
		tile := tlog.Tile{H: 8, L: 0, N: number, W: int(min(256, size-number*256))}
		path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(folder, path))
		must(err)
		for len(data) > 0 {
			length := 2 + int(binary.BigEndian.Uint16(data))
			all, data = append(all, data[2:length]), data[length:]
		}
	}
	return all
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func main() {
	folder := os.Args[1]
	vkey, err := os.ReadFile(filepath.Join(folder, "vkey"))
	must(err)
	verifier, err := note.NewVerifier(string(vkey))
	must(err, "key")
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	must(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	must(err, "checkpoint")
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err, "size")
	tree := tlog.Tree{N: size, Hash: hash(lines[2])}

	reader := tlog.TileHashReader(tree, tiles(folder))
	all := entries(folder, size)
	if int64(len(all)) != size {
		must(fmt.Errorf("%d entries", len(all)))
	}
	for index, entry := range all {
		path, err := tlog.ProveRecord(size, int64(index), reader)
		must(err, "tiles", index)
		must(tlog.CheckRecord(path, size, tree.Hash, int64(index), tlog.RecordHash(entry)), "entry", index)
	}

	var proofs []proof
	text, err := os.ReadFile(filepath.Join(folder, "proofs.json"))
	must(err)
	must(json.Unmarshal(text, &proofs))
	for _, one := range proofs {
		if one.Leaf != "" {
			must(tlog.CheckRecord(hashes(one.Path), one.New, hash(one.After), one.Index, hash(one.Leaf)), one)
		} else {
			must(tlog.CheckTree(hashes(one.Path), one.New, hash(one.After), one.Old, hash(one.Before)), one)
		}
	}

	private, public, err := note.GenerateKey(rand.Reader, "go.example/log")
	must(err)
	signer, err := note.NewSigner(private)
	must(err)
	made, err := note.Sign(&note.Note{Text: opened.Text}, signer)
	must(err)
	answer, _ := json.Marshal(map[string]any{"entries": len(all), "proofs": len(proofs), "key": private,
		"vkey": public, "note": base64.StdEncoding.EncodeToString(made)})
	fmt.Println(string(answer))
}
