/** A schema as older apps write it: lists of columns and indexes, other names for what is imported. */

import { Column, ColumnType, Index, IndexedColumn, Schema as AppSchema, ResolvedTable as Table } from '@powersync/common';

const stores = new Table({
  name: 'stores',
  columns: [
    new Column({ name: 'region', type: ColumnType.TEXT }),
    new Column({ name: 'size', type: ColumnType.INTEGER })
  ],
  indexes: [
    new Index({
      name: 'by_region',
      columns: [new IndexedColumn({ name: 'region', ascending: false }), IndexedColumn.createAscending('size')]
    }),
    Index.createAscending({ name: 'by_size' }, ['size'])
  ]
})

export const schema = new AppSchema([
  stores,
  new Table({ name: 'rates', viewName: 'all_rates', localOnly: true, columns: [new Column({ name: 'rate', type: ColumnType.REAL })] })
])
