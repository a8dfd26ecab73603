/**
 * Makes the packaged sample, an invented online shop for tea, coffee and the
 * things around them. The same code makes the same rows, everywhere:
 *
 *   node packages/sql/scripts/generateShop.ts
 */
import { rmSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"

const schema = `
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE,
  city TEXT NOT NULL,
  country TEXT NOT NULL,
  registered_on TEXT NOT NULL
);
CREATE TABLE categories (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  category_id INTEGER NOT NULL REFERENCES categories (id),
  name TEXT NOT NULL UNIQUE,
  price_cents INTEGER NOT NULL CHECK (price_cents > 0),
  in_stock INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  ordered_on TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('delivered', 'shipped', 'open', 'cancelled', 'returned')),
  shipping_cents INTEGER NOT NULL
);
CREATE TABLE order_lines (
  order_id INTEGER NOT NULL REFERENCES orders (id),
  line INTEGER NOT NULL,
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  unit_price_cents INTEGER NOT NULL,
  PRIMARY KEY (order_id, line)
) WITHOUT ROWID;
CREATE INDEX orders_by_customer ON orders (customer_id, ordered_on);
CREATE INDEX orders_by_day ON orders (ordered_on);
CREATE INDEX order_lines_by_product ON order_lines (product_id);
CREATE VIEW monthly_revenue AS
  SELECT substr(ordered_on, 1, 7) AS month, count(DISTINCT id) AS orders, sum(quantity * unit_price_cents) AS revenue_cents
  FROM orders JOIN order_lines ON order_id = id
  WHERE status NOT IN ('cancelled', 'returned')
  GROUP BY month;
`

const givenNames =
  "Aino Amara Anton Bea Chidi Clara Dario Edith Emil Farah Greta Hana Igor Ines Jonas Kaya Leo Lina Marek Mila Nadia Nils Olga Omar Paula Quim Rosa Samir Tilda Uma Viktor Wanda Yara Zeno".split(
    " "
  )
const familyNames =
  "Abel Berg Castell Dahl Ebner Ferrand Gruber Haddad Ivers Jansen Keller Lorenz Moreau Novak Okafor Pereira Quist Rossi Sandoval Tamm Ueda Varga Winter Ximenes Yilmaz Zeller".split(
    " "
  )
const cities = [
  ["Hamburg", "DE"],
  ["Leipzig", "DE"],
  ["Munich", "DE"],
  ["Vienna", "AT"],
  ["Graz", "AT"],
  ["Zurich", "CH"],
  ["Lyon", "FR"],
  ["Nantes", "FR"],
  ["Utrecht", "NL"],
  ["Ghent", "BE"],
  ["Turin", "IT"],
  ["Porto", "PT"]
] as const

/** Category, its goods, the kinds of each, a price to start from, and how the months of a year change the demand. */
const catalog = [
  [
    "Tea",
    ["Assam", "Darjeeling", "Sencha", "Oolong", "Rooibos", "Peppermint"],
    ["100 g", "250 g", "500 g"],
    690,
    [1.4, 1.3, 1.1, 0.9, 0.8, 0.7, 0.6, 0.7, 0.9, 1.1, 1.4, 1.8]
  ],
  [
    "Coffee",
    ["House Blend", "Sidamo", "Huila", "Mantiqueira", "Decaf"],
    ["250 g", "500 g", "1 kg"],
    890,
    [1.1, 1.1, 1, 1, 0.9, 0.8, 0.8, 0.8, 1, 1.1, 1.2, 1.5]
  ],
  [
    "Cups",
    ["Mug", "Espresso Cup", "Tea Bowl", "Glass"],
    ["white", "blue", "moss", "sand"],
    1190,
    [0.8, 0.8, 0.9, 1, 1, 0.9, 0.8, 0.8, 0.9, 1, 1.5, 2.4]
  ],
  [
    "Brewing",
    ["Teapot", "French Press", "Hand Filter", "Kettle", "Cold Brew Jug"],
    ["small", "large"],
    2490,
    [0.8, 0.8, 0.9, 1, 1.1, 1.3, 1.4, 1.2, 0.9, 0.9, 1.4, 2.2]
  ],
  [
    "Grinders",
    ["Hand Grinder", "Electric Grinder"],
    ["classic", "travel"],
    6900,
    [0.7, 0.7, 0.8, 0.9, 1, 1, 1, 0.9, 0.9, 1, 1.5, 2.5]
  ],
  [
    "Sweets",
    ["Shortbread", "Marzipan", "Dark Chocolate", "Candied Ginger"],
    ["box", "gift box"],
    590,
    [0.8, 1.1, 1.2, 1.1, 0.8, 0.6, 0.5, 0.5, 0.8, 1, 1.6, 2.8]
  ]
] as const

const firstDay = Date.UTC(2024, 0, 1)
const days = 731
const dayMillis = 86_400_000
const isoDay = (day: number) => new Date(firstDay + day * dayMillis).toISOString().slice(0, 10)

/** A small seeded generator (mulberry32), so that no library's change changes the data. */
const makeRandom = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  const pick = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
  const pickWeighted = <A>(from: ReadonlyArray<A>, weight: (item: A) => number): A => {
    let rest = next() * from.reduce((sum, item) => sum + weight(item), 0)
    return from.find((item) => (rest -= weight(item)) < 0) ?? from[from.length - 1]!
  }
  return { next, below, pick, pickWeighted }
}

/** Writes the shop to a new file. */
export const generateShop = (file: string): void => {
  const random = makeRandom(20_240_101)
  const database = new DatabaseSync(file)
  database.exec(schema)
  database.exec("BEGIN")
  const insertInto = (table: string, width: number) => {
    const statement = database.prepare(`INSERT INTO ${table} VALUES (${Array(width).fill("?").join(", ")})`)
    return (...values: ReadonlyArray<string | number>) => statement.run(...values)
  }

  const insertCustomer = insertInto("customers", 6)
  const customers = Array.from({ length: 420 }, (_, index) => {
    const id = index + 1
    const given = random.pick(givenNames)
    const family = random.pick(familyNames)
    const [city, country] = random.pick(cities)
    // A third were there before the first day; some buy far more often than others.
    const registered = random.below(3) === 0 ? -1 - random.below(200) : random.below(days - 20)
    insertCustomer(
      id,
      `${given} ${family}`,
      `${given}.${family}.${id}@example.com`.toLowerCase(),
      city,
      country,
      isoDay(registered)
    )
    return { id, registered, eagerness: 0.2 + random.next() ** 3 * 5 }
  })

  const insertCategory = insertInto("categories", 2)
  const insertProduct = insertInto("products", 5)
  const products: Array<{
    readonly id: number
    readonly price: number
    readonly popularity: number
    readonly months: ReadonlyArray<number>
  }> = []
  catalog.forEach(([category, goods, kinds, basePrice, months], categoryIndex) => {
    insertCategory(categoryIndex + 1, category)
    for (const good of goods) {
      const goodFactor = 0.8 + random.next() * 0.8
      kinds.forEach((kind, kindIndex) => {
        const id = products.length + 1
        const price = Math.round((basePrice * goodFactor * (1 + kindIndex * 0.6)) / 10) * 10 - 1
        insertProduct(id, categoryIndex + 1, `${good}, ${kind}`, price, random.below(160))
        products.push({ id, price, popularity: (0.3 + random.next()) / Math.sqrt(price), months })
      })
    }
  })

  const insertOrder = insertInto("orders", 5)
  const insertLine = insertInto("order_lines", 5)
  let orderId = 0
  for (let day = 0; day < days; day++) {
    const date = new Date(firstDay + day * dayMillis)
    const month = date.getUTCMonth()
    const isWeekend = [0, 6].includes(date.getUTCDay())
    const season = [1, 0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.8, 1, 1.1, 1.5, 1.9][month] ?? 1
    const expected = 3.2 * season * (isWeekend ? 1.3 : 0.9) * (1 + (0.4 * day) / days)
    const buyers = customers.filter((customer) => customer.registered <= day)
    const count = Math.floor(expected + random.next() * 1.6)
    for (let order = 0; order < count; order++) {
      orderId++
      const customer = random.pickWeighted(buyers, ({ eagerness }) => eagerness)
      const chance = random.next()
      const settled = chance < 0.03 ? "cancelled" : chance < 0.07 ? "returned" : "delivered"
      const status = day < days - 10 ? settled : day < days - 3 ? "shipped" : "open"
      const lines = 1 + random.below(2) + random.below(3)
      insertOrder(orderId, customer.id, isoDay(day), status, lines > 3 ? 0 : 490)
      for (let line = 1; line <= lines; line++) {
        const product = random.pickWeighted(products, ({ months, popularity }) => popularity * (months[month] ?? 1))
        // Prices rose by four percent in the second year.
        const price = date.getUTCFullYear() === 2024 ? Math.round(product.price / 1.04) : product.price
        insertLine(orderId, line, product.id, 1 + (random.below(4) === 0 ? 1 + random.below(3) : 0), price)
      }
    }
  }
  database.exec("COMMIT; ANALYZE; VACUUM")
  database.close()
}

if (import.meta.main) {
  const file = fileURLToPath(new URL("../sample/shop.sqlite", import.meta.url))
  rmSync(file, { force: true })
  generateShop(file)
}
