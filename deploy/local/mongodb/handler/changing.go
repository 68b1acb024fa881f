// Added to FerretDB's handlers, which read documents, change them, and write them back whatever stands there by then.
package handler

import "sync"

var changed sync.Map

// changing lets nobody else change a collection until what it returns is called.
func changing(db, collection string) func() {
	lock, _ := changed.LoadOrStore(db+"."+collection, new(sync.Mutex))
	lock.(*sync.Mutex).Lock()
	return lock.(*sync.Mutex).Unlock
}
